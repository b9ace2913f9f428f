/**
 * A failing system call at any step of a session fails only that session, and reports the cause.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { generateKeyPair, send as sendPaths } from '../../../src/index.js';
import { InjectedFault, noInjection } from '../../support/injected-faults.js';
import { distFolder, Program } from '../../support/processes.js';
import { eventsOf, type ReceiverProgram, SessionPlace } from '../../support/session-commands.js';

const reasons = {
  ENOSPC: /the disk is full; make room/,
  EDQUOT: /disk quota exceeded; make room/,
  EIO: /disk I\/O error; check the disk/,
  EFBIG: /exceeds the size limit; raise the limit/,
} as const;

const fileCount = 3;

/**
 * Calls are counted per thread. The receiver uses one thread for its files. It writes the journal
 * first, then each file with its own call. It syncs two folders, the journal, and the folder of the
 * part before the files. The main thread renames files. All later calls fail as well: on a slow
 * machine, a checkpoint in the background can come in between, whose failure is harmless.
 */
const steps = [
  ['the first write', 'pwrite64', 2],
  ['a write in the middle', 'pwrite64', 3],
  ['the last write', 'pwrite64', 1 + fileCount],
  ['the sync of the first file', 'fsync', 5],
  ['the sync of the last file', 'fsync', 4 + fileCount],
  ['the rename of the second file', 'rename', 2],
] as const;

/** Starts a receiver with one file thread on its own port. */
async function startReceiver(t: Test, place: SessionPlace, limit = ''): Promise<ReceiverProgram> {
  const dir = join(place.folder, 'in');
  const p2mp = join(distFolder, 'cli', 'p2mp.js');
  const where = ['--dir', dir, '--bind', '127.0.0.1', '--port', '0'];
  const words = [process.execPath, p2mp, 'receive', '--open', '--json', ...where];
  const env = { P2MP_HOME: place.receiverHome, UV_THREADPOOL_SIZE: '1' };
  const program = new Program(t, 'bash', ['-c', `${limit}exec "$@"`, 'sh', ...words], { env });
  const { addresses } = await program.waitForEvent('listening');
  return { program, port: 0, name: addresses[0], dir };
}

function writeObject(place: SessionPlace, name: string, count = fileCount): string {
  const folder = join(place.sent, name);
  mkdirSync(folder);
  for (let i = 0; i < count; i++) writeFileSync(join(folder, `${i}`), `${name} ${i}\n`.repeat(500));
  return folder;
}

const keyPair = await generateKeyPair();

/** Sends from this process: dozens of commands would take most of the time. @returns what became of the receiver */
async function send({ name }: ReceiverProgram, path: string) {
  const [host = '', port] = name.split(':');
  const receivers = [{ host, port: Number(port) }];
  const result = await sendPaths({ paths: [path], receivers, keyPair, trustReceiver: () => true });
  return result.receivers[0];
}

function isArrived(place: SessionPlace, { dir }: ReceiverProgram, name: string, count = fileCount) {
  for (let i = 0; i < count; i++) {
    const copy = join(dir, name, `${i}`);
    const original = join(place.sent, name, `${i}`);
    if (!existsSync(copy) || !readFileSync(copy).equals(readFileSync(original))) return false;
  }
  return true;
}

t.test('calls that fail from one step on', { skip: noInjection }, async (t) => {
  const place = new SessionPlace(t);
  const receiver = await startReceiver(t, place);
  for (const [step, calls, when] of steps) {
    for (const [code, reason] of Object.entries(reasons)) {
      const name = `${code} at ${step}`;
      const path = writeObject(place, name);
      const rule = `error=${code}:when=${when}+`;
      const fault = await InjectedFault.begin(t, receiver.program.pid, calls, rule);
      const first = await send(receiver, path);
      await fault.end();
      t.match(first, { status: 'failed', reason }, `${name}: the reason is the cause`);
      t.notOk(isArrived(place, receiver, name), `${name}: the object is incomplete, as reported`);
      const again = await send(receiver, path);
      t.match(again, { status: 'complete' }, `${name}: the receiver keeps running`);
      t.ok(isArrived(place, receiver, name), `${name}: every byte`);
      rmSync(path, { recursive: true });
    }
  }
  receiver.program.kill('SIGTERM');
  const exit = await receiver.program.exited;
  t.same(eventsOf(exit, 'internal-error'), [], 'none of these is an internal error');
});

t.test('too many open files', { skip: noInjection }, async (t) => {
  const place = new SessionPlace(t);
  const receiver = await startReceiver(t, place);
  for (const when of ['1+', '5+', '9+', '13+']) {
    const name = `from call ${when}`;
    const path = writeObject(place, name);
    const rule = `error=EMFILE:when=${when}`;
    const fault = await InjectedFault.begin(t, receiver.program.pid, 'openat,open', rule);
    const first = await send(receiver, path);
    await fault.end();
    t.match(first?.reason, /too many open files; raise the limit/, name);
    t.match(
      await send(receiver, path),
      { status: 'complete' },
      `${name}: the receiver keeps running`,
    );
    t.ok(isArrived(place, receiver, name), `${name}: every byte`);
  }
});

t.test(
  'sessions stay within the limit of open files of the process',
  { skip: process.platform === 'win32' && 'no ulimit' },
  async (t) => {
    const place = new SessionPlace(t);
    const receiver = await startReceiver(t, place, 'ulimit -n 64; ');
    const names = ['one', 'another', 'a third'];
    for (const name of names) writeObject(place, name, 100);
    const sent = await Promise.all(names.map((name) => send(receiver, join(place.sent, name))));
    for (const [i, outcome] of sent.entries()) {
      t.match(outcome, { status: 'complete' });
      t.ok(isArrived(place, receiver, names[i] as string, 100));
    }
  },
);

t.test(
  'a session that fails at its last write does not affect others',
  { skip: process.platform === 'win32' && 'no ulimit' },
  async (t) => {
    const place = new SessionPlace(t);
    const receiver = await startReceiver(t, place, 'ulimit -f 8; ');
    const large = join(place.sent, 'large');
    writeFileSync(large, Buffer.alloc(20_000, 1));
    const small = writeObject(place, 'small');
    const [failed, complete] = await Promise.all([send(receiver, large), send(receiver, small)]);
    t.match(failed, { status: 'failed', reason: reasons.EFBIG });
    t.match(complete, { status: 'complete' });
    t.ok(isArrived(place, receiver, 'small'));
    t.match(await send(receiver, small), { status: 'complete' }, 'the receiver keeps running');
  },
);
