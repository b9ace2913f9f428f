/** What is sent from folders, where it goes, and to whom after a failure. */
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseResult } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

const buffered = true;
t.jobs = 2;

function write(folder: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
}

async function namesOf(place: SessionPlace, ...args: readonly string[]): Promise<string[]> {
  const exit = await place.send([...args, '--to', '127.0.0.1:1', '--open', '-n', '--json']).exited;
  const { names, error } = parseResult(exit);
  return (names as string[] | undefined) ?? [JSON.stringify(error)];
}

t.test('patterns choose what is sent', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  write(place.sent, 'a.log', 'keep.log', 'src/b.log', 'src/c.txt', 'build/d', 'src/build/e');
  const exclude = ['--exclude', '*.log', '--exclude', '/build'];
  t.strictSame(await namesOf(place, place.sent, ...exclude, '--include', 'keep.log'), [
    ...[
      'sent',
      'sent/keep.log',
      'sent/src',
      'sent/src/build',
      'sent/src/build/e',
      'sent/src/c.txt',
    ],
  ]);
  const patterns = join(place.folder, 'patterns');
  writeFileSync(patterns, '# comment\n\nsrc/\n*.log\n!a.log\n');
  t.strictSame(await namesOf(place, place.sent, '--exclude-from', patterns), [
    ...['sent', 'sent/a.log', 'sent/build', 'sent/build/d'],
  ]);
  const named = join(place.sent, 'a.log');
  t.strictSame(await namesOf(place, named, '--exclude', '*.log'), ['a.log'], 'is named');
  t.match(await namesOf(place, place.sent, '--include', '!x'), [/leave out the exclamation mark/]);
  t.match(await namesOf(place, place.sent, '--exclude-from', 'none'), [/SOURCE_UNREADABLE/]);
});

t.test('a destination renames one path, or takes all', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  write(place.sent, 'x', 'y/z');
  const file = join(place.sent, 'x');
  t.strictSame(await namesOf(place, file, '--dest', 'new name'), ['new name']);
  t.strictSame(await namesOf(place, file, '--dest', 'a/b'), ['a', 'a/b']);
  t.strictSame(await namesOf(place, place.sent, file, '--dest', 'a/b/'), [
    ...['a', 'a/b', 'a/b/sent', 'a/b/sent/x', 'a/b/sent/y', 'a/b/sent/y/z', 'a/b/x'],
  ]);
  t.strictSame(await namesOf(place, `${place.sent}/.`, '--dest', 'site'), [
    ...['site', 'site/x', 'site/y', 'site/y/z'],
  ]);
  for (const dest of ['../up', '/root', 'a//b/', '', '.', '.p2mp-part/', 'a/../b']) {
    t.match(await namesOf(place, file, '--dest', dest), [/INVALID_ARGUMENT/], dest);
  }
  t.match(await namesOf(place, place.sent, file, '--dest', 'b'), [/only one path can be renamed/]);
});

t.test('folders of a destination keep their time', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  write(place.sent, 'x');
  const receiver = await place.receive(['--open', '--update-modes']);
  mkdirSync(join(receiver.dir, 'old'), { recursive: true, mode: 0o700 });
  const old = new Date('2020-01-01');
  const args = [join(place.sent, 'x'), '--to', receiver.name, '--open'];
  t.match(await place.send([...args, '--dest', 'old/new/']).exited, { code: 0 });
  t.equal(readFileSync(join(receiver.dir, 'old/new/x'), 'utf8'), 'x');
  t.equal(statSync(join(receiver.dir, 'old')).mode & 0o777, 0o700);
  utimesSync(join(receiver.dir, 'old/new'), old, old);
  t.match(await place.send([...args, '--dest', 'old/new/']).exited, { code: 0 });
  t.not(
    statSync(join(receiver.dir, 'old/new')).mtimeMs,
    0,
    'not the time of a folder of the sender',
  );
});

t.test('only the receivers that failed get it again', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  write(place.sent, 'x');
  const receiver = await place.receive();
  const to = `${receiver.name},127.0.0.1:1`;
  const args = [place.sent, '--to', to, '--open', '--json', '--give-up-after', '2'];
  const first = await place.send(args).exited;
  t.equal(first.code, 3, first.stderr);
  const saved = join(place.folder, 'result.json');
  writeFileSync(saved, first.stdout);
  const again = ['--retry-failed', saved, '--open', '--json', '--give-up-after', '1'];
  const second = await place.send([place.sent, ...again]).exited;
  t.match(
    { code: second.code, ...parseResult(second) },
    {
      code: 1,
      receivers: [{ receiver: '127.0.0.1:1', status: 'failed' }],
    },
  );
  const only = [place.sent, '--to', receiver.name, '--open', '--json'];
  writeFileSync(saved, (await place.send(only).exited).stdout);
  t.match(await place.send([place.sent, '--retry-failed', saved, '--open']).exited, {
    code: 0,
    stdout: /is complete: nothing to send/,
  });
  writeFileSync(saved, 'no result\n');
  t.match(await place.send([place.sent, '--retry-failed', saved, '--open']).exited, {
    code: 2,
    stderr: /contains no result of p2mp send/,
  });
});

t.test('with --fail-fast, the first failure ends the session', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  write(place.sent, 'x');
  // Its key is unknown, so it fails at once; the other one would be tried for 30 s.
  const receiver = await place.receive();
  await place.keygen(place.senderHome);
  const to = `${receiver.name},127.0.0.1:1`;
  const exit = await place.send([place.sent, '--to', to, '--fail-fast', '--json']).exited;
  const { receivers } = parseResult(exit);
  t.match(receivers, [
    { status: 'failed' },
    { status: 'aborted', reason: `stopped because ${receiver.name} failed (--fail-fast)` },
  ]);
  t.equal(exit.code, 1);
  t.notOk(existsSync(join(receiver.dir, 'sent')));
});
