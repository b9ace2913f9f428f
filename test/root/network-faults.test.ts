/** Sessions whose network fails midway: cut, moved, refused by the system, or with a host that stands still. */
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

/** P2MP_FAULT_SECONDS=60: how long a fault lasts. */
const faultMs = 1000 * Number(process.env['P2MP_FAULT_SECONDS'] ?? 5);
const patience = ['--give-up-after', String((2 * faultMs) / 1000 + 5)];

class Faulty extends SessionLab {
  constructor(private readonly test: Test) {
    super(test, sizeBytes);
  }

  /** A session that is slow enough to be disturbed, and has begun. */
  async begin(...options: string[]): Promise<{ receivers: Program[]; sender: Program }> {
    const receivers = await this.receive([]);
    const sender = this.send(4, '--rate', '2MB', ...options);
    await sender.waitForEvent('progress');
    return { receivers, sender };
  }

  checkAll(exit: Exit): void {
    this.test.equal(exit.code, 0, exit.stderr);
    for (const host of receiverHosts) {
      this.test.ok(isSameContent(this.sent, join(this.dir(host), 'sent')), `whole at ${host}`);
      this.test.notOk(existsSync(join(this.dir(host), '.p2mp-part')), 'and nothing else is left');
    }
  }
}

t.test('a cable that is pulled, and put back', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...patience);
  faulty.lab.setLink(2, 'down');
  await setTimeout(faultMs);
  faulty.lab.setLink(2, 'up');
  faulty.checkAll(await sender.exited);
});

t.test('the cable of the sender itself', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...patience);
  faulty.lab.setLink(0, 'down');
  await setTimeout(faultMs);
  faulty.lab.setLink(0, 'up');
  faulty.checkAll(await sender.exited);
});

t.test(
  'a cable that stays pulled fails one host by name, and a repetition goes on',
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
    t.ok(receivedBytes < sizeBytes, `${receivedBytes} of ${sizeBytes} bytes came again`);
  },
);

t.test('a receiver that stands still for a while', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { receivers, sender } = await faulty.begin(...patience);
  receivers[1]?.kill('SIGSTOP');
  await setTimeout(faultMs);
  receivers[1]?.kill('SIGCONT');
  faulty.checkAll(await sender.exited);
});

t.test('a sender that stands still for a while', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...patience);
  sender.kill('SIGSTOP');
  await setTimeout(faultMs);
  sender.kill('SIGCONT');
  faulty.checkAll(await sender.exited);
});

t.test('a sender whose address changes', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin(...patience);
  faulty.lab.moveHost(0, '10.99.0.200');
  faulty.checkAll(await sender.exited);
});

t.test('a receiver whose address changes is sent to by its new one', { skip }, async (t) => {
  const faulty = new Faulty(t);
  const { sender } = await faulty.begin('--give-up-after', '3');
  faulty.lab.moveHost(3, '10.99.0.201');
  const exit = await sender.exited;
  t.equal(exit.code, 3);
  t.match(parseResult(exit)['receivers'][2], { status: 'failed', reason: /has not responded/ });
  const to = `${faulty.address(1, 4)},10.99.0.201`;
  const words = ['send', faulty.sent, '--to', to, '--open', '--json'];
  const again = await faulty.p2mp(0, ...words).exited;
  faulty.checkAll(again);
  const [, { receivedBytes }] = parseResult(again)['receivers'];
  t.ok(receivedBytes < sizeBytes, `${receivedBytes} of ${sizeBytes} bytes came again`);
});

for (const error of ['ENOBUFS', 'ECONNREFUSED', 'ENETUNREACH', 'EPERM']) {
  t.test(
    `a system that answers ${error} now and then`,
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
