/** Incoming objects on disk: received, resumed, compared, kept and moved into place. */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../../src/node/disk/parts/part-store-options.js';
import { FileBudget } from '../../../../src/node/disk/store/file-budget.js';
import type { HeldBlock } from '../../../../src/object/content-store.js';
import { hashLeaf } from '../../../../src/object/hash-tree.js';
import type { Entry } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const isWindows = process.platform === 'win32';
const partId = '5e'.repeat(32);
const modifiedMs = 1_600_000_000_123.456;
const blockSizeBytes = 10;

function file(name: string, sizeBytes: number, mode = 0o644): Entry {
  return { kind: 'file', name, mode, modifiedMs, sizeBytes };
}

function folder(name: string, mode = 0o755): Entry {
  return { kind: 'folder', name, mode, modifiedMs };
}

/** An object of random content, and options to open stores of it. */
function createObject(entries: readonly Entry[]) {
  const manifest = createManifest(entries);
  const content = randomBytes(manifest.contentSizeBytes);
  const open = (dir: string, options: Partial<PartStoreOptions> = {}) =>
    PartStore.open({ dir, partId, manifest, blockSizeBytes, existing: 'update', ...options });
  const bytesOf = (name: string) => {
    let start = 0;
    for (const entry of entries) {
      const sizeBytes = entry.kind === 'file' ? entry.sizeBytes : 0;
      if (entry.name === name) return content.subarray(start, start + sizeBytes);
      start += sizeBytes;
    }
    throw new Error(`no file ${name}`);
  };
  const blockCount = Math.ceil(content.length / blockSizeBytes);
  const block = (index: number) =>
    content.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes);
  const writeBlocks = async (store: PartStore, indices: Iterable<number>) => {
    await Promise.all([...indices].map((i) => store.write(i * blockSizeBytes, block(i))));
  };
  const writeAll = (store: PartStore) => writeBlocks(store, range(0, blockCount));
  const leaf = (index: number) => sha256Leaf(block(index));
  return { manifest, content, open, bytesOf, block, blockCount, writeBlocks, writeAll, leaf };
}

function sha256Leaf(block: Uint8Array): string {
  const hash = (...parts: readonly Uint8Array[]) =>
    parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();
  return Buffer.from(hashLeaf(hash, block)).toString('hex');
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

function indicesOf(held: readonly HeldBlock[]): number[] {
  return held.map(({ index }) => index);
}

function partFolder(dir: string): string {
  return join(dir, '.p2mp-part', partId);
}

t.test('an object becomes files, folders and links, and nothing else remains', async (t) => {
  const dir = join(t.testdir(), 'new', 'folder');
  const object = createObject([
    folder('a', 0o750),
    file('a/one', 33, 0o600),
    folder('a/deep', 0o711),
    file('a/deep/empty', 0, 0o640),
    folder('a/hollow', 0o700),
    { kind: 'link', name: 'a/link', target: 'deep/empty' },
    file('two', 27, 0o755),
  ]);
  const store = await object.open(dir);
  t.same(store.held, []);
  t.same(store.kept, []);
  await object.writeAll(store);
  t.same(readdirSync(dir), ['.p2mp-part'], 'until the end only the part exists');
  await store.finish();
  t.same(readdirSync(dir).sort(), ['a', 'two']);
  t.same(readdirSync(join(dir, 'a')).sort(), ['deep', 'hollow', 'link', 'one']);
  t.same(readdirSync(join(dir, 'a/hollow')), []);
  for (const name of ['a/one', 'a/deep/empty', 'two']) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
  }
  t.equal(readlinkSync(join(dir, 'a/link')), 'deep/empty');
  for (const entry of object.manifest.entries) {
    if (entry.kind === 'link') continue;
    const stats = statSync(join(dir, entry.name), { bigint: true });
    t.equal(stats.mtimeNs / 1000n, 1_600_000_000_123_456n, `time of ${entry.name}`);
    if (!isWindows) t.equal(Number(stats.mode) & 0o7777, entry.mode, `mode of ${entry.name}`);
  }
});

t.test('times before 1970 and in the far future are preserved', async (t) => {
  const dir = t.testdir();
  const before1970 = [-86_400_000, -1250.001, -1000, -500, -499.6, -0.001];
  for (const timeMs of [...before1970, 0, 1.5, 4_102_444_800_000.001]) {
    const object = createObject([{ ...file('f', 1), modifiedMs: timeMs } as Entry]);
    const store = await object.open(dir, { existing: 'overwrite' });
    await object.writeAll(store);
    await store.finish();
    const { mtimeNs } = lstatSync(join(dir, 'f'), { bigint: true });
    t.equal(mtimeNs, BigInt(Math.round(timeMs * 1000)) * 1000n, `${timeMs} ms`);
  }
});

t.test('an object without content is finished at once', async (t) => {
  const dir = t.testdir();
  const store = await createObject([]).open(dir);
  await store.finish();
  t.same(readdirSync(dir), []);
});

t.test('writes may have any size and order', async (t) => {
  const dir = t.testdir();
  const object = createObject(range(0, 40).map((i) => file(`f${i}`, i % 7)));
  const store = await object.open(dir, { fileBudget: new FileBudget(2) });
  const cuts = [...new Set([0, 1, 2, 15, 16, 60, 99, object.content.length])].sort((a, b) => a - b);
  const pieces = cuts.slice(1).map((end, i) => ({ start: cuts[i] as number, end }));
  await Promise.all(
    pieces
      .reverse()
      .map(({ start, end }) => store.write(start, object.content.subarray(start, end))),
  );
  await store.write(5, new Uint8Array(0));
  await store.finish();
  for (const { name } of object.manifest.entries) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
  }
});

t.test('concurrent writes are joined, and split at file boundaries', async (t) => {
  const handle = await open('/dev/null', 'r').catch(() => undefined);
  const calls = { count: 0, limitBytes: Infinity };
  if (handle !== undefined) {
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const { writev } = prototype;
    t.intercept(prototype, 'writev', {
      // A system may write less than it is given.
      value: function (this: FileHandle, parts: readonly Uint8Array[], position: number) {
        calls.count++;
        let leftBytes = calls.limitBytes;
        const taken = parts.map((part) => {
          const slice = part.subarray(0, leftBytes);
          leftBytes -= slice.length;
          return slice;
        });
        return writev.call(this, taken, position);
      },
    });
  }
  for (const limitBytes of [Infinity, 1, 17]) {
    calls.limitBytes = limitBytes;
    for (const sizes of [[200], [95, 0, 3, 1, 101], range(0, 20)]) {
      const dir = t.testdir();
      const object = createObject(sizes.map((sizeBytes, i) => file(`f${i}`, sizeBytes)));
      const store = await object.open(dir, { fileBudget: new FileBudget(3) });
      calls.count = 0;
      const order = range(0, object.blockCount).sort((a, b) => ((a * 7) % 5) - ((b * 7) % 5));
      await object.writeBlocks(store, order);
      if (handle !== undefined) {
        const most = sizes.length + 1;
        t.ok(calls.count <= most, `${calls.count} calls for ${object.blockCount} blocks`);
      }
      await store.finish();
      for (const { name } of object.manifest.entries) {
        t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), `${limitBytes}: ${name}`);
      }
    }
  }
});

t.test('no write that waits for a stop is lost', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 95), file('b', 40)]);
  const first = await object.open(dir);
  const writes = object.writeBlocks(first, [0, 2, 3, 7, 12]);
  const stopped = first.suspend();
  await writes;
  await stopped;
  const second = await object.open(dir);
  t.same(indicesOf(second.held), [0, 2, 3, 7, 12]);
  const rest = object.writeBlocks(second, [1, 4, 5, 6, 8, 9, 10, 11, 13]);
  await second.finish();
  await rest;
  for (const name of ['a', 'b']) t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)));
});

t.test('a block that arrives twice at once is written in order', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 50)]);
  const store = await object.open(dir);
  await Promise.all([
    store.write(0, object.block(0)),
    store.write(20, Buffer.alloc(10)),
    store.write(10, Buffer.alloc(10)),
    store.write(20, object.block(2)),
    store.write(10, object.block(1)),
    object.writeBlocks(store, [3, 4]),
  ]);
  await store.finish();
  t.ok(readFileSync(join(dir, 'a')).equals(object.content));
});

t.test('finishing an incomplete object is an internal error', async (t) => {
  const object = createObject([file('f', 25)]);
  const store = await object.open(t.testdir());
  await object.writeBlocks(store, [0, 2]);
  await t.rejects(store.finish(), { message: /internal error: f is whole/ });
  await store.discard();
});

t.test('the next open holds what was noted, with its digest', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 14), file('b', 0), file('c', 31)]);
  const first = await object.open(dir);
  await object.writeBlocks(first, [1, 4]);
  await first.suspend();
  t.same(readdirSync(join(dir, '.p2mp-part')), [partId], 'the lock is gone');
  const second = await object.open(dir);
  t.same(
    second.held.map(({ index, leaf }) => [index, Buffer.from(leaf).toString('hex')]),
    [1, 4].map((index) => [index, object.leaf(index)]),
  );
  await object.writeBlocks(second, [0, 2, 3]);
  await second.finish();
  for (const name of ['a', 'b', 'c']) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
  }
});

t.test('blocks of another size are held if all their bytes are', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 14), file('b', 31)]);
  const first = await object.open(dir);
  await object.writeBlocks(first, [0, 1, 4]);
  await first.suspend();
  // Bytes 0 to 20 and 40 to 45 are held.
  for (const [size, blocks] of [
    [7, [0, 1, 6]],
    [3, [0, 1, 2, 3, 4, 5, 14]],
    [20, [0, 2]],
    [45, []],
  ] as const) {
    const store = await object.open(dir, { blockSizeBytes: size });
    t.same(indicesOf(store.held), blocks, `blocks of ${size} bytes`);
    for (const { index, leaf } of store.held) {
      const block = object.content.subarray(index * size, (index + 1) * size);
      t.equal(Buffer.from(leaf).toString('hex'), sha256Leaf(block));
    }
    await store.suspend();
  }
});

t.test('a block that is forgotten is not held, noted or not, until it is written', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 35)]);
  const first = await object.open(dir);
  await object.writeBlocks(first, [0, 1, 2]);
  await first.checkpoint();
  await object.writeBlocks(first, [3]);
  await Promise.all([first.forget(1), first.forget(3)]);
  await first.suspend();
  const second = await object.open(dir);
  t.same(indicesOf(second.held), [0, 2]);
  await t.rejects(second.finish(), { message: /internal error: a is whole/ });
  await second.forget(0);
  await object.writeBlocks(second, [1, 3]);
  const going = second.checkpoint();
  await second.forget(3);
  await going;
  await second.suspend();
  const third = await object.open(dir);
  t.same(indicesOf(third.held), [1, 2], 'not by a checkpoint in progress either');
  await third.discard();
});

t.test('checkpoints happen by themselves, after some bytes or some time', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 400)]);
  for (const options of [{ checkpointBytes: 30 }, { checkpointMs: 1 }]) {
    const first = await object.open(dir, options);
    const journal = join(partFolder(dir), 'journal');
    const { size } = statSync(journal);
    await object.writeBlocks(first, [0, 1, 2]);
    // Without a checkpoint, the test's timeout ends this.
    while (statSync(journal).size === size) await new Promise((resolve) => setTimeout(resolve, 1));
    // As if the process had ended here: only the journal counts.
    const copy = join(t.testdirName, `copy-${JSON.stringify(options)}`);
    mkdirSync(partFolder(copy), { recursive: true });
    for (const name of readdirSync(partFolder(dir))) {
      copyFileSync(join(partFolder(dir), name), join(partFolder(copy), name));
    }
    const second = await object.open(copy);
    t.same(indicesOf(second.held), [0, 1, 2]);
    await second.discard();
    await first.discard();
  }
});

t.test('shortly before the end, a checkpoint leaves little to sync', async (t) => {
  const megabyte = 1024 * 1024;
  const object = createObject([file('a', 12 * megabyte)]);
  const store = await object.open(t.testdir(), { checkpointMs: 1_000_000 });
  const { journal } = store['part'];
  const add = journal.add.bind(journal);
  const added = new Promise<Parameters<typeof add>[0]>((resolve) => {
    journal.add = (ranges) => {
      resolve(ranges);
      return add(ranges);
    };
  });
  await store.write(0, object.content.subarray(0, 7 * megabyte));
  t.equal(store['newBytes'], 7 * megabyte, 'more than a third is missing');
  await store.write(7 * megabyte, object.content.subarray(7 * megabyte, 9 * megabyte));
  t.same(await added, [{ start: 0, end: 9 * megabyte }]);
  await store.discard();
});

t.test('a truncated data file is received again from there', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 35), file('b', 35)]);
  const first = await object.open(dir);
  await object.writeAll(first);
  await first.suspend();
  truncateSync(join(partFolder(dir), '1'), 30);
  const second = await object.open(dir);
  t.notOk(indicesOf(second.held).includes(6), 'what is lost is not held');
  await object.writeAll(second);
  await second.finish();
  t.ok(readFileSync(join(dir, 'b')).equals(object.bytesOf('b')));
});

t.test('a part of another object is received from the start', async (t) => {
  const dir = t.testdir();
  const first = await createObject([file('a', 30)]).open(dir);
  await first.write(0, Buffer.alloc(30));
  await first.suspend();
  writeFileSync(join(partFolder(dir), '7'), 'left over');
  const object = createObject([file('a', 29)]);
  const second = await object.open(dir);
  t.same(second.held, []);
  t.same(readdirSync(partFolder(dir)), ['journal'], 'its data is gone as well');
  await second.discard();
  t.same(readdirSync(dir), []);
});

t.test('discard leaves what was there before, and nothing else', async (t) => {
  const dir = t.testdir({ a: 'old' });
  const object = createObject([file('a', 30)]);
  const store = await object.open(dir);
  await object.writeBlocks(store, [0]);
  await store.discard();
  await store.discard();
  await store.suspend();
  t.same(readdirSync(dir), ['a']);
  t.equal(readFileSync(join(dir, 'a')).toString(), 'old');
});

t.test('update: files of the right size are compared, others are replaced', async (t) => {
  const object = createObject([file('same', 25), file('changed', 25), file('short', 25)]);
  const changed = Buffer.from(object.bytesOf('changed'));
  changed[12] = (changed[12] as number) ^ 1;
  const dir = t.testdir();
  writeFileSync(join(dir, 'same'), object.bytesOf('same'), { mode: 0o600 });
  writeFileSync(join(dir, 'changed'), changed);
  writeFileSync(join(dir, 'short'), 'short');
  const { ino } = statSync(join(dir, 'same'));
  const store = await object.open(dir);
  t.same(indicesOf(store.held), [0, 1, 2, 3, 4]);
  const bad = store.held.filter(({ index, leaf }) => {
    return Buffer.from(leaf).toString('hex') !== object.leaf(index);
  });
  t.same(indicesOf(bad), [3], 'the block with the changed byte');
  await store.forget(3);
  await object.writeBlocks(store, [3, 5, 6, 7]);
  t.ok(readFileSync(join(dir, 'changed')).equals(changed), 'the old file is not written');
  t.same(
    readdirSync(partFolder(dir)).sort(),
    ['1', '2', 'journal'],
    'a file that already matches is not copied',
  );
  await store.finish();
  for (const name of ['same', 'changed', 'short']) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
    t.equal(Math.floor(statSync(join(dir, name)).mtimeMs), 1_600_000_000_123);
    const mode = name === 'same' ? 0o600 : 0o644;
    if (!isWindows)
      t.equal(statSync(join(dir, name)).mode & 0o7777, mode, `${name} keeps its mode`);
  }
  t.equal(statSync(join(dir, 'same')).ino, ino, 'it is the same file');
});

t.test('a copy of a candidate is noted without its bad blocks', async (t) => {
  const object = createObject([file('a', 50)]);
  const dir = t.testdir();
  writeFileSync(join(dir, 'a'), Buffer.alloc(50));
  const first = await object.open(dir);
  t.same(indicesOf(first.held), [0, 1, 2, 3, 4]);
  await Promise.all([first.forget(1), first.forget(3)]);
  await object.writeBlocks(first, [1]);
  await first.suspend();
  const second = await object.open(dir);
  t.same(indicesOf(second.held), [0, 1, 2, 4]);
  t.equal(Buffer.from(second.held[1]?.leaf ?? []).toString('hex'), object.leaf(1));
  await second.discard();
});

t.test('a candidate that changes meanwhile fails the object and is named', async (t) => {
  const object = createObject([file('a', 30), file('b', 30)]);
  const failed = {
    code: 'TARGET_FAILED',
    message: /a: changed while it was being compared; send again$/,
  };
  const changes: Record<string, (path: string) => void> = {
    longer: (path) => truncateSync(path, 31),
    later: (path) => utimesSync(path, 1, 1),
    gone: (path) => rmSync(path),
    'another one': (path) => {
      copyFileSync(path, `${path}.new`);
      renameSync(`${path}.new`, path);
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    for (const isWritten of [false, true]) {
      const dir = t.testdir();
      for (const name of ['a', 'b']) writeFileSync(join(dir, name), object.bytesOf(name));
      const store = await object.open(dir);
      t.equal(store.held.length, 6);
      change(join(dir, 'a'));
      if (isWritten) await t.rejects(store.write(10, Buffer.alloc(10)), failed, `${what}, written`);
      // The failed write must not count as written.
      await t.rejects(store.finish(), failed, what);
      await store.discard();
    }
  }
});

t.test(
  'a candidate with another name is not changed under that name',
  { skip: isWindows },
  async (t) => {
    const object = createObject([file('a', 30, 0o600)]);
    const dir = t.testdir();
    const other = join(t.testdirName, 'other');
    writeFileSync(other, object.bytesOf('a'), { mode: 0o640 });
    linkSync(other, join(dir, 'a'));
    const { mtimeMs } = statSync(other);
    const store = await object.open(dir);
    t.equal(store.held.length, 3);
    await store.finish();
    t.equal(statSync(other).mtimeMs, mtimeMs);
    t.equal(statSync(other).mode & 0o777, 0o640);
    t.equal(statSync(join(dir, 'a')).mode & 0o777, 0o640);
    t.not(statSync(join(dir, 'a')).ino, statSync(other).ino);
    t.ok(readFileSync(join(dir, 'a')).equals(object.bytesOf('a')));
  },
);

t.test('overwrite: everything is received again', async (t) => {
  const object = createObject([file('a', 30), file('b', 12)]);
  const dir = t.testdir();
  writeFileSync(join(dir, 'a'), object.bytesOf('a'));
  const { ino } = statSync(join(dir, 'a'));
  const store = await object.open(dir, { existing: 'overwrite' });
  t.same(store.held, []);
  await object.writeAll(store);
  await store.finish();
  t.not(statSync(join(dir, 'a')).ino, ino);
  t.ok(readFileSync(join(dir, 'b')).equals(object.bytesOf('b')));
});

t.test('keep: an existing file is neither received nor touched', async (t) => {
  const object = createObject([
    file('new', 15),
    file('old', 30),
    file('last', 20),
    file('none', 0),
  ]);
  const dir = t.testdir({ old: 'of another size', none: 'but something' });
  const { mtimeMs } = statSync(join(dir, 'old'));
  const store = await object.open(dir, { existing: 'keep' });
  t.same(store.held, []);
  t.same(store.kept, [{ start: 2, end: 4 }]);
  await object.writeBlocks(store, [0, 1, 4, 5, 6]);
  t.same(readdirSync(partFolder(dir)).sort(), ['0', '2', 'journal']);
  await store.finish();
  t.equal(readFileSync(join(dir, 'old')).toString(), 'of another size');
  t.equal(readFileSync(join(dir, 'none')).toString(), 'but something');
  t.equal(statSync(join(dir, 'old')).mtimeMs, mtimeMs);
  for (const name of ['new', 'last']) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
  }
});

t.test('keep: a file that appears meanwhile is kept too; one that vanishes fails', async (t) => {
  const object = createObject([
    file('new', 15),
    file('old', 30),
    { kind: 'link', name: 'link', target: 'new' },
  ]);
  const dir = t.testdir({ old: 'old', link: 'no link' });
  const store = await object.open(dir, { existing: 'keep' });
  await object.writeAll(store);
  writeFileSync(join(dir, 'new'), 'appeared');
  rmSync(join(dir, 'old'));
  await t.rejects(store.finish(), {
    code: 'TARGET_FAILED',
    message: `${join(dir, 'old')}: was removed during the transfer; send again`,
  });
  writeFileSync(join(dir, 'old'), 'again');
  await store.finish();
  t.equal(readFileSync(join(dir, 'new')).toString(), 'appeared');
  t.equal(readFileSync(join(dir, 'old')).toString(), 'again');
  t.equal(readFileSync(join(dir, 'link')).toString(), 'no link');
});

t.test('folders without write permission are filled first', { skip: isWindows }, async (t) => {
  const object = createObject([folder('a', 0o555), folder('a/b', 0o000), file('a/b/c', 12, 0o400)]);
  const dir = t.testdir();
  const receive = async (innerMode: number, updatesModes = false) => {
    const store = await object.open(dir, { updatesModes });
    await object.writeAll(store);
    await store.finish();
    t.equal(statSync(join(dir, 'a')).mode & 0o777, 0o555);
    t.equal(statSync(join(dir, 'a/b')).mode & 0o777, innerMode);
    t.equal(Math.floor(statSync(join(dir, 'a')).mtimeMs), 1_600_000_000_123);
  };
  await receive(0o000);
  // Without root, comparing needs permission.
  chmodSync(join(dir, 'a/b'), 0o500);
  await receive(0o500);
  await receive(0o000, true);
  for (const name of ['a', 'a/b']) chmodSync(join(dir, name), 0o700);
  t.ok(readFileSync(join(dir, 'a/b/c')).equals(object.bytesOf('a/b/c')));
});

t.test(
  'setuid is never applied; folders keep their special bits',
  { skip: isWindows },
  async (t) => {
    const object = createObject([
      folder('d', 0o755),
      file('d/tool', 10, 0o6755),
      file('d/new', 5, 0o7777),
    ]);
    const dir = t.testdir({ d: {} });
    writeFileSync(join(dir, 'd/tool'), object.bytesOf('d/tool'));
    chmodSync(join(dir, 'd/tool'), 0o4755);
    chmodSync(join(dir, 'd'), 0o2700);
    const store = await object.open(dir, { updatesModes: true });
    await object.writeAll(store);
    await store.finish();
    t.equal(statSync(join(dir, 'd/tool')).mode & 0o7777, 0o755);
    t.equal(statSync(join(dir, 'd/new')).mode & 0o7777, 0o777);
    t.equal(statSync(join(dir, 'd')).mode & 0o7777, 0o2755);
  },
);

t.test('an interrupted finish continues from any point', async (t) => {
  const object = createObject([file('a', 30), folder('d'), file('d/b', 30), file('e', 0)]);
  for (const existing of ['update', 'overwrite', 'keep'] as const) {
    const dir = t.testdir({ d: { b: 'old' } });
    const store = await object.open(dir, { existing: existing === 'keep' ? 'update' : existing });
    await object.writeAll(store);
    // The second file cannot be moved into place.
    rmSync(join(dir, 'd/b'));
    mkdirSync(join(dir, 'd/b'));
    await t.rejects(store.finish(), {
      code: 'TARGET_FAILED',
      message: `${join(dir, 'd/b')}: is a folder; move it away or choose another folder`,
    });
    t.ok(readFileSync(join(dir, 'a')).equals(object.bytesOf('a')), 'the first one is in place');
    await store.suspend();
    rmSync(join(dir, 'd/b'), { recursive: true });
    const again = await object.open(dir, { existing });
    const held = existing === 'keep' ? [3, 4, 5] : [0, 1, 2, 3, 4, 5];
    t.same(indicesOf(again.held), held, existing);
    await again.finish();
    t.ok(readFileSync(join(dir, 'd/b')).equals(object.bytesOf('d/b')));
    t.same(readdirSync(dir).sort(), ['a', 'd', 'e']);
  }
});

t.test('or by the same store', async (t) => {
  const object = createObject([file('a', 30), file('b', 30)]);
  const dir = t.testdir();
  const store = await object.open(dir);
  await object.writeAll(store);
  mkdirSync(join(dir, 'b'));
  await t.rejects(store.finish(), { code: 'TARGET_FAILED' });
  rmSync(join(dir, 'b'), { recursive: true });
  await store.finish();
  for (const name of ['a', 'b']) {
    t.ok(readFileSync(join(dir, name)).equals(object.bytesOf(name)), name);
  }
});

t.test('a removed part fails and is named; the store can still be stopped', async (t) => {
  const object = createObject([file('a', 30), file('b', 30)]);
  // With two descriptors, files are closed and opened again.
  for (const [end, budget] of [
    ['suspend', 2],
    ['suspend', 16],
    ['discard', 2],
  ] as const) {
    const dir = t.testdir();
    const store = await object.open(dir, { fileBudget: new FileBudget(budget) });
    await object.writeAll(store);
    rmSync(partFolder(dir), { recursive: true });
    const failed = {
      code: 'TARGET_FAILED',
      message: /p2mp-part: somebody removed what had arrived; send again/,
    };
    await t.rejects(store.checkpoint(), failed);
    await t.rejects(store.write(0, Buffer.alloc(1)), failed, 'it remains failed');
    await t.rejects(store.finish(), failed);
    await store[end]();
    t.notOk(existsSync(join(dir, 'a')));
  }
});

t.test('a part that is removed after everything was synced fails at the end', async (t) => {
  const object = createObject([file('a', 30), file('b', 30)]);
  const dir = t.testdir();
  const store = await object.open(dir);
  await object.writeAll(store);
  await store.checkpoint();
  rmSync(partFolder(dir), { recursive: true });
  await t.rejects(store.finish(), { message: /p2mp-part: somebody removed what had arrived/ });
  await store.suspend();
});

t.test('an object without room is refused before anything is written', async (t) => {
  const dir = t.testdir();
  const object = (sizeBytes: number) =>
    PartStore.open({
      dir,
      partId,
      manifest: createManifest([file('a', sizeBytes)]),
      blockSizeBytes: 2 ** 20,
      existing: 'update',
    });
  await t.rejects(object(5e15), {
    code: 'TARGET_UNWRITABLE',
    message: /: needs 5000 TB, [0-9.]+ [kMGT]?B free; make room$/,
  });
  t.same(readdirSync(dir), []);
});

t.test('an aborted open leaves no lock', async (t) => {
  const dir = t.testdir();
  const object = createObject([file('a', 30)]);
  const first = await object.open(dir);
  await object.writeAll(first);
  await first.suspend();
  const controller = new AbortController();
  const opening = object.open(dir, { signal: controller.signal });
  controller.abort();
  await t.rejects(opening, { name: 'AbortError' });
  await t.rejects(object.open(dir, { signal: controller.signal }), { name: 'AbortError' });
  const again = await object.open(dir);
  t.equal(again.held.length, 3, 'the part is unchanged');
  await again.discard();
});

t.test('a folder named by a symbolic link is accepted', { skip: isWindows }, async (t) => {
  const dir = t.testdir({ real: {} });
  symlinkSync('real', join(dir, 'link'));
  const object = createObject([file('a', 30)]);
  const store = await object.open(join(dir, 'link'));
  await object.writeAll(store);
  await store.finish();
  t.ok(readFileSync(join(dir, 'real/a')).equals(object.bytesOf('a')));
});

t.test('a thousand small files', async (t) => {
  const dir = t.testdir();
  const object = createObject(range(0, 1000).map((i) => file(`f${i}`, 1024)));
  const store = await object.open(dir, { blockSizeBytes: 65_536 });
  for (let at = 0; at < object.content.length; at += 65_536) {
    await store.write(at, object.content.subarray(at, at + 65_536));
  }
  await store.finish();
  t.equal(readdirSync(dir).length, 1000);
  const wrong = object.manifest.entries.filter(
    ({ name }) => !readFileSync(join(dir, name)).equals(object.bytesOf(name)),
  );
  t.same(wrong, []);
  const again = await object.open(dir, { blockSizeBytes: 65_536 });
  t.equal(again.held.length, Math.ceil(object.content.length / 65_536));
  await again.finish();
  t.equal(readdirSync(dir).length, 1000);
});
