/** Sessions whose network fails midway: cables, addresses, send errors, and suspended hosts. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { InjectedFault, noInjection, sending } from '../support/injected-faults.js';
import { isSameContent } from '../support/loopback.js';
import { type Exit, type Program, parseResult } from '../support/processes.js';
import { noLab, receiverHosts, SessionLab } from './session-lab.js';

const skip = noLab;
const sizeBytes = 6_000_000;

/** Duration of each fault; P2MP_FAULT_SECONDS=60 lengthens it. */
const faultMs = 1000 * Number(process.env['P2MP_FAULT_SECONDS'] ?? 5);
const livenessOptions = ['--give-up-after', String((2 * faultMs) / 1000 + 5)];

class Faulty extends SessionLab {
  constructor(private readonly test: Test) {
    super(test, sizeBytes);
  }

  /** Starts a session that is slow enough to be disturbed. */
  async begin(...options: string[]): Promise<{ receivers: Program[]; sender: Program }> {
    const receivers = await this.receive([]);
    const sender = this.send(4, '--rate', '2MB', ...options);
    await sender.waitForEvent('progress');
    return { receivers, sender };
  }

  checkAll(exit: Exit): void {
    this.test.equal(exit.code, 0, exit.stderr);
    for (const host of receiverHosts) {
      this.test.ok(isSameContent(this.sent, join(this.dir(host), 'sent')), `complete at ${host}`);
      this.test.notOk(existsSync(join(this.dir(host), '.p2mp-part')), 'no part remains');
    }
  }
}

t.test('a cable that is unplugged and plugged in again', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...livenessOptions);
  faulty.lab.setLink(2, 'down');
  await setTimeout(faultMs);
  faulty.lab.setLink(2, 'up');
  faulty.checkAll(await sender.exited);
});

t.test('the cable of the sender', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...livenessOptions);
  faulty.lab.setLink(0, 'down');
  await setTimeout(faultMs);
  faulty.lab.setLink(0, 'up');
  faulty.checkAll(await sender.exited);
});

t.test(
  'a cable that stays unplugged fails one receiver by name, and a repetition continues',
  { skip },
  async (t) => {
    const faulty = new Faulty(t);
    const { sender } = await faulty.begin('--give-up-after', '3');
    faulty.lab.setLink(2, 'down');
    const exit = await sender.exited;
    t.equal(exit.code, 3);
    t.match(parseResult(exit)['receivers'], [
      { status: 'complete' },
      { receiver: faulty.address(2, 4), status: 'failed', reason: /has not responded for 3 s/ },
      { status: 'complete' },
    ]);
    faulty.lab.setLink(2, 'up');
    const again = await faulty.send(4).exited;
    faulty.checkAll(again);
    const [, { receivedBytes }] = parseResult(again)['receivers'];
    t.ok(receivedBytes < sizeBytes, `${receivedBytes} of ${sizeBytes} bytes were sent again`);
  },
);

t.test('a receiver that is suspended for a while', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { receivers, sender } = await faulty.begin(...livenessOptions);
  receivers[1]?.kill('SIGSTOP');
  await setTimeout(faultMs);
  receivers[1]?.kill('SIGCONT');
  faulty.checkAll(await sender.exited);
});

t.test('a sender that is suspended for a while', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...livenessOptions);
  sender.kill('SIGSTOP');
  await setTimeout(faultMs);
  sender.kill('SIGCONT');
  faulty.checkAll(await sender.exited);
});

t.test('a sender whose address changes', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...livenessOptions);
  faulty.lab.moveHost(0, '10.99.0.200');
  faulty.checkAll(await sender.exited);
});

t.test('a receiver whose address changes', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...livenessOptions);
  faulty.lab.moveHost(3, '10.99.0.201');
  const exit = await sender.exited;
  faulty.checkAll(exit);
  t.match(parseResult(exit)['receivers'][2].paths, [
    { path: 0 },
    { path: 1, address: /^10\.99\.0\.201:/ },
  ]);
});

for (const error of ['ENOBUFS', 'ECONNREFUSED', 'ENETUNREACH', 'EPERM']) {
  t.test(
    `a system that returns ${error} now and then`,
    { skip: skip || noInjection },
    async (t) => {
      const faulty = new Faulty(t);
      const { sender } = await faulty.begin();
      const fault = `error=${error}:when=1+5`;
      const injected = await InjectedFault.begin(t, sender.pid, sending, fault);
      const exit = await sender.exited;
      await injected.end();
      faulty.checkAll(exit);
    },
  );
}
