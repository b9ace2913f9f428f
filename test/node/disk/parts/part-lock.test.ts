/** One store per part, and abandoned parts. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PartStore, removeStaleParts } from '../../../../src/node/disk/parts/part-store.js';
import { createManifest } from '../../../../src/object/manifest.js';

const ids = ['aa', 'bb', 'cc', 'dd'].map((byte) => byte.repeat(32));
const [partId = ''] = ids;

function open(dir: string, id = partId): Promise<PartStore> {
  const manifest = createManifest([
    { kind: 'file', name: id.slice(0, 4), mode: 0o644, modifiedMs: 0, sizeBytes: 20 },
  ]);
  return PartStore.open({ dir, partId: id, manifest, blockSizeBytes: 10, existing: 'update' });
}

function lockPath(dir: string, id = partId): string {
  return join(dir, '.p2mp-part', `${id}.lock`);
}

/** A process that lives as long as the test. */
async function startOther(t: Test): Promise<{ readonly pid: number; kill(): Promise<void> }> {
  const child = spawn('env', [
    '-u',
    'NODE_OPTIONS',
    process.execPath,
    '-e',
    'process.stdin.resume()',
  ]);
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  t.teardown(kill);
  return { pid: child.pid ?? 0, kill };
}

t.test('a second store on one part is refused until the first has ended', async (t) => {
  const dir = t.testdir();
  for (const end of ['suspend', 'discard', 'finish'] as const) {
    const first = await open(dir);
    await t.rejects(open(dir), {
      code: 'TARGET_UNWRITABLE',
      message: `${join(dir, '.p2mp-part', partId)}: is being received by this process; wait until it has finished, or stop it`,
    });
    const other = await open(dir, ids[1]);
    await other.discard();
    await first.write(0, Buffer.alloc(20));
    await first[end]();
    await (await open(dir)).discard();
  }
});

t.test('of many stores that open at once, one gets the part', async (t) => {
  const dir = t.testdir();
  for (let turn = 0; turn < 10; turn++) {
    const opened = await Promise.allSettled(Array.from({ length: 6 }, () => open(dir)));
    const stores = opened.filter((result) => result.status === 'fulfilled');
    t.equal(stores.length, 1);
    for (const result of opened) {
      if (result.status === 'rejected') t.match(result.reason, { code: 'TARGET_UNWRITABLE' });
      else await result.value.discard();
    }
    t.same(readdirSync(dir), []);
  }
});

t.test('a live process keeps its lock; a dead one does not', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  const own = JSON.parse(readFileSync(lockPath(dir), 'utf8'));
  t.equal(own.pid, process.pid);
  await store.suspend();
  const other = await startOther(t);
  // Where the start time is unknown, the process id alone counts.
  const boot = own.start.split(' ')[0];
  const start =
    process.platform === 'linux'
      ? `${boot} ${readFileSync(`/proc/${other.pid}/stat`, 'utf8').split(' ')[21]}`
      : '';
  const lockText = JSON.stringify({ pid: other.pid, start });
  writeFileSync(lockPath(dir), lockText);
  await t.rejects(open(dir), {
    code: 'TARGET_UNWRITABLE',
    message: new RegExp(`is being received by process ${other.pid}; `),
  });
  t.equal(readFileSync(lockPath(dir), 'utf8'), lockText);
  await other.kill();
  await (await open(dir)).suspend();
  t.same(readdirSync(join(dir, '.p2mp-part')), [partId]);
});

t.test('a reused process id is another process', async (t) => {
  const dir = t.testdir();
  await (await open(dir)).suspend();
  for (const text of [
    JSON.stringify({ pid: process.pid, start: 'earlier' }),
    '',
    'no lock',
    '{"pid":-1,"start":""}',
    'null',
  ]) {
    writeFileSync(lockPath(dir), text);
    await (await open(dir)).suspend();
  }
  t.notOk(existsSync(lockPath(dir)));
});

t.test('of many that take over a stale lock, one gets it', async (t) => {
  const dir = t.testdir();
  for (let turn = 0; turn < 20; turn++) {
    mkdirSync(join(dir, '.p2mp-part'), { recursive: true });
    writeFileSync(lockPath(dir), JSON.stringify({ pid: process.pid, start: 'earlier' }));
    const opened = await Promise.allSettled(Array.from({ length: 4 }, () => open(dir)));
    t.equal(opened.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const result of opened) if (result.status === 'fulfilled') await result.value.discard();
  }
});

t.test('a process killed while it takes over a lock blocks nobody', async (t) => {
  const dir = t.testdir();
  mkdirSync(join(dir, '.p2mp-part'));
  // A stale lock, and stale locks of processes that were about to take it over.
  let path = lockPath(dir);
  for (let i = 0; i < 3; i++) {
    const text = JSON.stringify({ pid: process.pid, start: `earlier ${i}` });
    writeFileSync(path, text);
    path += `.${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
  }
  const store = await open(dir);
  await t.rejects(open(dir), { code: 'TARGET_UNWRITABLE' });
  await store.discard();
  t.same(readdirSync(dir), [], 'nothing of them is left');
});

t.test('abandoned parts are removed', async (t) => {
  const dir = t.testdir({ file: 'stays' });
  t.same(await removeStaleParts(dir, 0), [], 'no folder yet');
  const [old = '', young = '', locked = '', bare = ''] = ids;
  for (const id of [old, young, locked]) {
    const store = await open(dir, id);
    await store.write(0, Buffer.alloc(10));
    await store.suspend();
  }
  const parts = join(dir, '.p2mp-part');
  mkdirSync(join(parts, bare));
  writeFileSync(`${lockPath(dir, old)}.0123456789ab`, 'left by a process that was killed');
  writeFileSync(join(parts, 'mine'), 'a name of another kind');
  const hourAgoSec = Date.now() / 1000 - 3600;
  const paths = [old, locked].map((id) => join(parts, id, 'journal'));
  for (const path of [...paths, join(parts, bare), `${lockPath(dir, old)}.0123456789ab`]) {
    utimesSync(path, hourAgoSec, hourAgoSec);
  }
  // A live lock protects a part, however old its journal is.
  const holder = await open(dir, locked);
  utimesSync(join(parts, locked, 'journal'), hourAgoSec, hourAgoSec);
  t.same((await removeStaleParts(dir, 3_700_000)).sort(), []);
  t.same((await removeStaleParts(dir, 1_800_000)).sort(), [old, bare].sort());
  t.same(readdirSync(parts).sort(), [young, locked, `${locked}.lock`, 'mine'].sort());
  await holder.suspend();
  utimesSync(join(parts, locked, 'journal'), hourAgoSec, hourAgoSec);
  t.same(await removeStaleParts(dir, 1_800_000), [locked]);
  rmSync(join(parts, 'mine'));
  utimesSync(join(parts, young, 'journal'), hourAgoSec, hourAgoSec);
  t.same(await removeStaleParts(dir, 1_800_000), [young]);
  t.same(readdirSync(dir), ['file'], 'the folder goes with the last part');
});

t.test('opening a part renews its age', async (t) => {
  const dir = t.testdir();
  await (await open(dir)).suspend();
  const journal = join(dir, '.p2mp-part', partId, 'journal');
  utimesSync(journal, 1, 1);
  await (await open(dir)).suspend();
  t.same(await removeStaleParts(dir, 1_800_000), []);
});
