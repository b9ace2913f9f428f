/** The quick check by size and time: what a second send does not read, and what it must not miss. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseResult } from '../../support/processes.js';
import type { ReceiverProgram } from '../../support/session-commands.js';
import { SessionPlace } from '../../support/session-commands.js';

const buffered = true;
t.jobs = 2;
/** Long before any test, so that the time of a file says whether it changed. */
const old = new Date('2020-05-01T12:00:00.125Z');

function writeOld(path: string, content: string | Buffer): void {
  writeFileSync(path, content);
  utimesSync(path, old, old);
}

/** The fields of the result that the tests look at, with those of the receivers. */
async function send(place: SessionPlace, { name }: ReceiverProgram, ...options: string[]) {
  const args = [place.sent, '--to', name, '--accept-new', '--json', '--quiet', ...options];
  const exit = await place.send(args).exited;
  const { status, contentRoot, datagrams, receivers } = parseResult(exit);
  const [receiver] = receivers as { unchanged: number; receivedBytes: number; status: string }[];
  return { code: exit.code, status, hasRoot: contentRoot !== undefined, datagrams, receiver };
}

async function prepare(place: SessionPlace, ...options: string[]): Promise<ReceiverProgram> {
  await place.keygen(place.senderHome);
  return place.receive(['--open', ...options]);
}

t.test('unchanged files are neither compared nor sent', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  writeOld(join(place.sent, 'large'), Buffer.alloc(500_000, 1));
  writeOld(join(place.sent, 'empty'), '');
  symlinkSync('large', join(place.sent, 'link'));
  const receiver = await prepare(place);
  t.match(await send(place, receiver), { code: 0, hasRoot: true, receiver: { unchanged: 0 } });
  const inode = lstatSync(join(receiver.dir, 'sent/large')).ino;
  t.match(await send(place, receiver), {
    ...{ code: 0, status: 'complete', hasRoot: false, datagrams: 0 },
    receiver: { unchanged: 2, receivedBytes: 0, heldBytes: 500_000 },
  });
  t.equal(lstatSync(join(receiver.dir, 'sent/large')).ino, inode);

  // The same size and time, but other content: only the content shows it.
  writeOld(join(place.sent, 'large'), Buffer.alloc(500_000, 2));
  t.match(await send(place, receiver), { code: 0, receiver: { unchanged: 2, receivedBytes: 0 } });
  t.equal(readFileSync(join(receiver.dir, 'sent/large'))[0], 1, 'the check was fooled');
  t.match(await send(place, receiver, '--checksum'), {
    ...{ code: 0, hasRoot: true },
    receiver: { unchanged: 0, receivedBytes: 500_000 },
  });
  t.equal(readFileSync(join(receiver.dir, 'sent/large'))[0], 2, 'the content was compared');
  t.match(await send(place, receiver), { receiver: { unchanged: 2 } });
  t.match(await send(place, receiver, '--overwrite'), {
    receiver: { unchanged: 0, receivedBytes: 500_000 },
  });
});

t.test('only what has changed is read and sent', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  for (const name of ['a', 'b', 'c', 'd']) {
    writeOld(join(place.sent, name), Buffer.alloc(300_000, name));
  }
  const receiver = await prepare(place);
  await send(place, receiver);
  writeFileSync(join(place.sent, 'b'), Buffer.alloc(300_000, 'B'));
  writeOld(join(place.sent, 'e'), Buffer.alloc(1000, 'e'));
  const second = await send(place, receiver);
  t.match(second, { code: 0, receiver: { unchanged: 3 } });
  const bytes = second.receiver?.receivedBytes ?? 0;
  t.ok(bytes >= 301_000 && bytes < 500_000, `${bytes} bytes: the changed files and their blocks`);
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const sent = readFileSync(join(place.sent, name));
    t.ok(readFileSync(join(receiver.dir, 'sent', name)).equals(sent), name);
  }
});

t.test('attributes are set although the content is unchanged', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const folder = join(place.sent, 'folder');
  mkdirSync(folder);
  writeOld(join(folder, 'file'), 'content');
  symlinkSync('file', join(folder, 'link'));
  const receiver = await prepare(place, '--update-modes');
  await send(place, receiver);
  chmodSync(join(folder, 'file'), 0o640);
  rmSync(join(folder, 'link'));
  symlinkSync('elsewhere', join(folder, 'link'));
  utimesSync(folder, old, old);
  t.match(await send(place, receiver), { code: 0, receiver: { unchanged: 1, receivedBytes: 0 } });
  const received = join(receiver.dir, 'sent/folder');
  t.equal(lstatSync(join(received, 'file')).mode & 0o777, 0o640);
  t.equal(lstatSync(received).mtimeMs, old.getTime());
  t.equal(readlinkSync(join(received, 'link')), 'elsewhere');
  t.match(await send(place, receiver), { receiver: { unchanged: 1 } }, 'its mode did not hide it');
});

t.test(
  'a file that something else has changed or placed is not trusted',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    writeOld(join(place.sent, 'file'), 'sent');
    const receiver = await prepare(place);
    const received = join(receiver.dir, 'sent/file');
    await send(place, receiver);
    // In place, with the same size and modification time; only the change time (ctime) differs.
    writeOld(received, 'SENT');
    t.match(await send(place, receiver), { receiver: { unchanged: 0 } });
    t.equal(readFileSync(received, 'utf8'), 'sent');
    rmSync(received);
    writeOld(received, 'fake');
    t.match(await send(place, receiver), { receiver: { unchanged: 0 } });
    t.equal(readFileSync(received, 'utf8'), 'sent');
    // Another sender places a file with the same name, size and time.
    await place.keygen(join(place.folder, 'other keys'));
    writeOld(join(place.sent, 'file'), 'evil');
    const args = ['send', place.sent, '--to', receiver.name, '--accept-new'];
    const other = await place.start(join(place.folder, 'other keys'), args).exited;
    t.equal(other.code, 0, other.stderr);
    t.equal(readFileSync(received, 'utf8'), 'evil');
    writeOld(join(place.sent, 'file'), 'sent');
    t.match(await send(place, receiver), { receiver: { unchanged: 0 } });
    t.equal(readFileSync(received, 'utf8'), 'sent');
  },
);

t.test('a file that may change again within the same time is compared', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const soon = new Date(Date.now() + 3_600_000);
  writeFileSync(join(place.sent, 'future'), 'one');
  utimesSync(join(place.sent, 'future'), soon, soon);
  writeOld(join(place.sent, 'old'), 'one');
  const receiver = await prepare(place);
  await send(place, receiver);
  writeFileSync(join(place.sent, 'future'), 'two');
  utimesSync(join(place.sent, 'future'), soon, soon);
  t.match(await send(place, receiver), { receiver: { unchanged: 1 } });
  t.equal(readFileSync(join(receiver.dir, 'sent/future'), 'utf8'), 'two');
});

t.test('options that contradict each other are refused', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const args = [place.sent, '--to', '127.0.0.1:1', '--open', '--checksum', '--overwrite'];
  t.match(await place.send(args).exited, {
    code: 2,
    stderr: /--overwrite and --checksum contradict each other; give only one/,
  });
});
