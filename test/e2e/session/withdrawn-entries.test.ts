/** Files that disappear while they are sent are skipped and reported, and everything else arrives. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, noOffload, writeRandomFile } from '../../support/loopback.js';
import { parseResult } from '../../support/processes.js';
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
