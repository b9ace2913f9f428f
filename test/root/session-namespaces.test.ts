/**
 * Sessions between network namespaces on one bridge: real multicast, lost multicast, full disks.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent } from '../support/loopback.js';
import { parseResult } from '../support/processes.js';
import { noLab, receiverHosts, SessionLab } from './session-lab.js';

const skip = noLab;

for (const version of [4, 6] as const) {
  t.test(`one datagram over IPv${version} serves all three`, { skip }, async (t) => {
    const lab = new SessionLab(t, 2_000_000);
    const programs = await lab.receive(['--once']);
    const exit = await lab.send(version, '--rate', '2MB').exited;
    t.equal(exit.code, 0, exit.stderr);
    const result = parseResult(exit);
    t.ok(result['multicastDatagrams'] > 0);
    for (const host of receiverHosts) {
      t.match(result['receivers'][host - 1], { status: 'complete', multicast: true });
      t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
    }
    // Unicast would take three times the content.
    t.ok(result['bytesSent'] < 2 * 2_000_000, `${result['bytesSent']} bytes left`);
    for (const program of programs) {
      const { code, stdout } = await program.exited;
      t.equal(code, 0);
      t.match(stdout, /"event":"session-result".*"multicast":true/);
    }
  });
}

t.test('a host that multicast does not reach is served by unicast', { skip }, async (t) => {
  const lab = new SessionLab(t, 1_000_000);
  lab.drop(2, 'ip daddr 224.0.0.0/4');
  const programs = await lab.receive(['--once']);
  const exit = await lab.send(4, '--rate', '2MB').exited;
  t.equal(exit.code, 0, exit.stderr);
  const result = parseResult(exit);
  t.ok(result['multicastDatagrams'] > 0);
  t.match(result['receivers'], [
    { status: 'complete', multicast: true },
    { status: 'complete', multicast: false },
    { status: 'complete', multicast: true },
  ]);
  for (const host of receiverHosts) t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
  for (const program of programs) t.equal((await program.exited).code, 0);
});

t.test('multicast leaves by the interface that leads to most receivers', { skip }, async (t) => {
  const lab = new SessionLab(t, 1_000_000);
  await lab.receive(['--once']);
  lab.run(0, 'ip', 'link', 'add', 'side', 'type', 'veth', 'peer', 'name', 'far');
  for (const end of ['side', 'far']) lab.run(0, 'ip', 'link', 'set', end, 'up');
  lab.run(0, 'ip', 'addr', 'add', '10.98.0.1/24', 'dev', 'side');
  // Nobody answers there, although it is named first.
  const to = ['10.98.0.5', ...receiverHosts.map((host) => lab.address(host, 4))].join();
  const options = ['--open', '--json', '--rate', '2MB', '--give-up-after', '3'];
  const exit = await lab.p2mp(0, 'send', lab.sent, '--to', to, ...options).exited;
  t.equal(exit.code, 3, exit.stderr);
  const [, ...served] = parseResult(exit)['receivers'];
  t.match(
    served,
    receiverHosts.map(() => ({ status: 'complete', multicast: true })),
  );
});

t.test('multicast that stops reaching one host midway', { skip }, async (t) => {
  const lab = new SessionLab(t, 2_000_000);
  await lab.receive(['--once']);
  const sender = lab.send(4, '--rate', '400k');
  await sender.waitForEvent('progress');
  lab.drop(3, 'ip daddr 224.0.0.0/4');
  const exit = await sender.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(
    parseResult(exit)['receivers'][2],
    { status: 'complete', heldBytes: 2_000_000, multicast: false },
    'it is served by unicast from then on',
  );
  for (const host of receiverHosts) t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
});

t.test('loss at one host only', { skip }, async (t) => {
  const lab = new SessionLab(t, 1_000_000);
  lab.drop(1, 'meta l4proto udp numgen random mod 100 < 10');
  await lab.receive(['--once']);
  const exit = await lab.send(4, '--rate', '2MB').exited;
  t.equal(exit.code, 0, exit.stderr);
  const result = parseResult(exit);
  t.ok(result['repairs'] > 0);
  t.ok(result['receivers'][0].loss > 0);
  for (const host of receiverHosts) t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
});

t.test('a full disk fails one receiver, until there is room', { skip }, async (t) => {
  const lab = new SessionLab(t, 2_000_000);
  const disk = mkdtempSync(join(tmpdir(), 'p2mp small disk '));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk]);
  t.teardown(() => {
    execFileSync('umount', ['--lazy', disk]);
    rmSync(disk, { recursive: true });
  });
  // With --open, each sender process has its own key.
  const programs = await lab.receive(['--compare-all'], { 2: disk });
  const sender = lab.send(4, '--rate', '400k');
  // By then, the first of them has been written.
  await sender.waitFor(
    /"event":"progress".*"receiver":"10\.99\.0\.12.*?"receivedBytes":[3-9]\d{5}/,
  );
  const filler = join(disk, 'filler');
  t.throws(() => writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024)), { code: 'ENOSPC' });
  const exit = await sender.exited;
  t.equal(exit.code, 3, 'the other receivers are complete');
  t.match(parseResult(exit)['receivers'], [
    { receiver: lab.address(1, 4), status: 'complete' },
    {
      receiver: lab.address(2, 4),
      status: 'failed',
      reason: /the disk is full; make room and try again/,
    },
    { receiver: lab.address(3, 4), status: 'complete' },
  ]);
  for (const host of [1, 3]) t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
  t.same(readdirSync(disk).sort(), ['.p2mp-part', 'filler']);

  rmSync(filler);
  const again = await lab.send(4).exited;
  t.equal(again.code, 0, again.stderr);
  const received = parseResult(again)['receivers'].map(
    ({ receivedBytes }: { receivedBytes: number }) => receivedBytes,
  );
  t.same([received[0], received[2]], [0, 0]);
  t.ok(received[1] > 0);
  t.ok(isSameContent(lab.sent, join(disk, 'sent')));
  for (const program of programs) {
    program.kill('SIGTERM');
    t.equal((await program.exited).code, 0);
  }
});
