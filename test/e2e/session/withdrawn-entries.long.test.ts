/** Files that disappear while they are sent are skipped and reported, and everything else arrives. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { InjectedFault, noInjection } from '../../support/injected-faults.js';
import { isSameContent, noOffload, writeRandomFile } from '../../support/loopback.js';
import { type Program, parseResult } from '../../support/processes.js';
import { eventsOf, SessionPlace, stopMidway } from '../../support/session-commands.js';

const skip = noOffload;
/** More than the sender reads ahead, so that what follows has not been read when the sender is stopped. */
const bigBytes = 12_000_000;

t.test('files and a folder that disappear midway', { skip }, async (t) => {
  const place = new SessionPlace(t);
  const { sent } = place;
  writeRandomFile(sent, bigBytes, 'a big');
  for (const name of ['b gone', 'c stays']) writeRandomFile(sent, 100_000, name);
  mkdirSync(join(sent, 'd gone'));
  for (const name of ['e', 'f']) writeRandomFile(join(sent, 'd gone'), 1000, name);
  writeRandomFile(sent, 0, 'g empty');
  const receivers = [
    await place.receive(['--open', '--once', '--json'], 'in 1'),
    await place.receive(['--open', '--once', '--json'], 'in 2'),
  ] as const;
  const old = join(receivers[1].dir, 'sent', 'b gone');
  mkdirSync(join(receivers[1].dir, 'sent'), { recursive: true });
  writeFileSync(old, 'old');
  const to = receivers.map(({ name }) => name).join();
  const sender = place.send([sent, '--to', to, '--open', '--json', '--rate', '4M']);
  await stopMidway(sender, receivers[0]);
  rmSync(join(sent, 'b gone'));
  rmSync(join(sent, 'd gone'), { recursive: true });
  sender.kill('SIGCONT');

  const exit = await sender.exited;
  t.equal(exit.code, 5, exit.stderr);
  const reason = 'was removed while it was being sent';
  const names = ['sent/b gone', 'sent/d gone', 'sent/d gone/e', 'sent/d gone/f'];
  const skipped = names.map((name) => ({ name, reason }));
  const inOrder = (list: typeof skipped) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const result = parseResult(exit);
  t.same(inOrder(result['skipped']), skipped);
  t.match(result['receivers'], [{ status: 'complete' }, { status: 'complete' }]);
  t.match(eventsOf(exit, 'skipped').length, names.length);
  for (const { program, dir } of receivers) {
    const own = await program.exited;
    t.equal(own.code, 5, own.stderr);
    t.match(eventsOf(own, 'session-result'), [{ status: 'complete', skipped }]);
    for (const name of ['a big', 'c stays', 'g empty'])
      t.ok(isSameContent(join(sent, name), join(dir, 'sent', name)), name);
    t.notOk(existsSync(join(dir, 'sent', 'd gone')));
  }
  t.notOk(existsSync(join(receivers[0].dir, 'sent', 'b gone')));
  t.equal(readFileSync(old, 'utf8'), 'old', 'what was there stays');

  const again = await place.receive(['--open', '--once'], 'in 1');
  const repeated = await place.send([sent, '--to', again.name, '--open', '--json']).exited;
  t.equal(repeated.code, 0, repeated.stderr);
  t.match(parseResult(repeated), { entries: 4, receivers: [{ status: 'complete' }] });
});

const denied = 'permission denied while it was being sent';
const failing = 'disk I/O error while it was being sent';

/** @param spoil makes the file unreadable while the sender is stopped */
async function checkUnreadable(
  t: Test,
  reason: string,
  spoil: (file: string, sender: Program) => unknown,
): Promise<void> {
  const place = new SessionPlace(t);
  const { sent } = place;
  writeRandomFile(sent, bigBytes, 'a big');
  for (const name of ['b broken', 'c stays']) writeRandomFile(sent, 100_000, name);
  const receiver = await place.receive(['--open', '--once', '--json']);
  const args = ['--to', receiver.name, '--open', '--json', '--rate', '4M'];
  const sender = place.send([sent, ...args]);
  await stopMidway(sender, receiver);
  await spoil(join(sent, 'b broken'), sender);
  sender.kill('SIGCONT');
  const exit = await sender.exited;
  t.equal(exit.code, 5, exit.stderr);
  const skipped = [{ name: 'sent/b broken', reason }];
  t.match(parseResult(exit), { skipped, receivers: [{ status: 'complete' }] });
  const own = await receiver.program.exited;
  t.equal(own.code, 5, own.stderr);
  t.match(eventsOf(own, 'session-result'), [{ status: 'complete', skipped }]);
  for (const name of ['a big', 'c stays'])
    t.ok(isSameContent(join(sent, name), join(receiver.dir, 'sent', name)), name);
  t.notOk(existsSync(join(receiver.dir, 'sent', 'b broken')));
}

const isRoot = process.getuid?.() === 0 && 'root may read everything';

t.test('a file loses its permissions midway', { skip: skip || isRoot }, (t) =>
  checkUnreadable(t, denied, (file) => chmodSync(file, 0)),
);

for (const [what, calls, code, reason] of [
  ['a file can no longer be opened, midway', 'openat', 'EACCES', denied],
  ['a file is on a disk that fails, midway', 'pread64,preadv,read', 'EIO', failing],
  ['a file has gone from its file server, midway', 'openat', 'ESTALE', failing],
] as const) {
  t.test(what, { skip: skip || noInjection }, (t) =>
    checkUnreadable(t, reason, (file, sender) =>
      InjectedFault.begin(t, sender.pid, calls, `error=${code}`, file),
    ),
  );
}

t.test('the only file disappears midway', { skip }, async (t) => {
  const place = new SessionPlace(t);
  const file = writeRandomFile(place.sent, bigBytes);
  const receiver = await place.receive();
  const sender = place.send([file, '--to', receiver.name, '--open', '--rate', '4M']);
  await stopMidway(sender, receiver);
  rmSync(file);
  sender.kill('SIGCONT');
  const { code, stderr } = await sender.exited;
  t.equal(code, 4, stderr);
  t.match(stderr, 'was removed while it was being sent; send again without it');
});
