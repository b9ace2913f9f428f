/** A receiver behind a filter that drops data and passes all other datagrams. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent } from '../support/loopback.js';
import { type Exit, type Program, parseResult } from '../support/processes.js';
import { noLab, SessionLab } from './session-lab.js';

const skip = noLab;
const [healthy, deaf] = [1, 2];
const sizeBytes = 2_000_000;
const livenessSeconds = 5;

/** Matches kinds 7 and 8, untagged and tagged data, in datagram headers (SESSIONS 2.2, 2.3). */
const isData = 'udp dport 7735 @th,112,16 0x5032 @th,96,8 { 7, 8 }';

/** A sender, a normal receiver, and one that can be cut off from data. */
class DeafLab extends SessionLab {
  dropData(): void {
    this.drop(deaf, isData);
  }

  sendToBoth(options: readonly string[] = [], seconds = livenessSeconds): Program {
    const to = [healthy, deaf].map((host) => this.address(host, 4)).join();
    const livenessOptions = ['--give-up-after', String(seconds)];
    const common = ['--to', to, '--open', '--json', ...livenessOptions];
    return this.p2mp(0, 'send', this.sent, ...common, ...options);
  }

  isWhole(host: number): boolean {
    return isSameContent(this.sent, join(this.dir(host), 'sent'));
  }

  /** Checks both outcomes if the second receiver never gets data. */
  checkDeaf(t: Test, exit: Exit): void {
    t.equal(exit.code, 3, exit.stderr);
    const reason = `no data has reached ${this.address(deaf, 4)} for 5 s, although control messages have: a filter drops data, or the path MTU fell below 1432 bytes; check firewalls and --mss, then send again`;
    const [first, second] = parseResult(exit)['receivers'];
    t.match(first, { status: 'complete', heldBytes: sizeBytes });
    t.match(second, { receiver: this.address(deaf, 4), status: 'failed', reason });
    t.ok(this.isWhole(healthy));
    t.notOk(existsSync(join(this.dir(deaf), 'sent')), 'no incomplete file has a final name');
    t.ok(second.seconds < 4 * livenessSeconds, `failed after ${second.seconds} s`);
  }
}

for (const multicast of ['auto', 'never']) {
  t.test(`a filter that drops data, --multicast ${multicast}`, { skip }, async (t) => {
    const lab = new DeafLab(t, sizeBytes);
    const programs = await lab.receive(['--once']);
    lab.dropData();
    const exit = await lab.sendToBoth(['--multicast', multicast]).exited;
    lab.checkDeaf(t, exit);
    const [first, second] = parseResult(exit)['receivers'];
    t.ok(
      first.seconds < 2 * livenessSeconds,
      `the other receiver is complete after ${first.seconds} s`,
    );
    t.equal(second.heldBytes, 0);
    const own = await programs[deaf - 1]?.exited;
    t.equal(own?.code, 1);
    t.match(
      own?.stdout,
      /"status":"failed","reason":"[^"]*no data has reached/,
      'the receiver logs the same reason',
    );
  });
}

t.test('data stops midway, and a repetition continues', { skip }, async (t) => {
  const lab = new DeafLab(t, sizeBytes);
  await lab.receive([]);
  const sender = lab.sendToBoth(['--rate', '500k']);
  await sender.waitFor(/"receiver":"10\.99\.0\.12".*"receivedBytes":[1-9]/);
  lab.dropData();
  const exit = await sender.exited;
  lab.checkDeaf(t, exit);
  const [, { heldBytes }] = parseResult(exit)['receivers'];
  t.ok(heldBytes > 0 && heldBytes < sizeBytes, `it holds ${heldBytes} bytes`);
  lab.unfilter(deaf);
  const again = await lab.sendToBoth().exited;
  t.equal(again.code, 0, again.stderr);
  t.ok(lab.isWhole(deaf));
  const [, { receivedBytes }] = parseResult(again)['receivers'];
  t.ok(receivedBytes < sizeBytes, `${receivedBytes} of ${sizeBytes} bytes were sent again`);
});

t.test('a filter that is removed in time only costs time', { skip }, async (t) => {
  const lab = new DeafLab(t, sizeBytes);
  await lab.receive([]);
  lab.dropData();
  const sender = lab.sendToBoth([], 60);
  await sender.waitFor(/"receiver-result","receiver":"10\.99\.0\.11".*"status":"complete"/);
  lab.unfilter(deaf);
  const exit = await sender.exited;
  t.equal(exit.code, 0, exit.stdout);
  t.ok(lab.isWhole(healthy) && lab.isWhole(deaf));
});
