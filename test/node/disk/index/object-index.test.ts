/** The index of a served path: always that of one state of its files, and never computed twice without need. */
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { P2mpError } from '../../../../src/base/errors.js';
import { digestContent } from '../../../../src/node/content-digest.js';
import { IndexFolder } from '../../../../src/node/disk/index/index-folder.js';
import {
  type IndexedObject,
  type IndexOptions,
  ObjectIndex,
} from '../../../../src/node/disk/index/object-index.js';
import { ObjectSource } from '../../../../src/node/disk/source/object-source.js';
import { sha256 } from '../../../../src/node/primitives/primitives.js';
import { hashLeaf } from '../../../../src/object/hash-tree.js';
import { encodeManifest } from '../../../../src/object/manifest.js';
import { toHex } from '../../../../src/wire/byte-codec.js';
import { standardBlockSizeBytes as block } from '../../../../src/wire/sizes.js';
import { lookDuring } from '../../../support/meanwhile.js';

/** From now on in this process, all files are a minute older. No program can set the time of a status change. */
const realNow = Date.now;
Date.now = () => realNow() + 60_000;

async function index(t: Test, path: string, options: IndexOptions = {}): Promise<IndexedObject> {
  const indexed = await new ObjectIndex(path, options).refresh();
  t.teardown(() => indexed.listed.close());
  return indexed;
}

/** Compares an index with one that is computed from nothing. */
async function checkIndex(t: Test, path: string, indexed: IndexedObject): Promise<void> {
  const source = await ObjectSource.open({ paths: [path] });
  t.equal(toHex(indexed.contentRoot), await digestContent(source, new AbortController().signal));
  t.strictSame(indexed.manifestBytes, encodeManifest(source.manifest));
  const content = await source.read(0, source.manifest.contentSizeBytes);
  const leaves: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += block) {
    leaves.push(hashLeaf(sha256, content.subarray(at, at + block)));
  }
  t.strictSame(Buffer.from(indexed.leaves), Buffer.concat(leaves));
  await source.close();
}

function write(folder: string, files: Readonly<Record<string, number>>): void {
  for (const [name, sizeBytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), randomBytes(sizeBytes));
  }
}

t.test('files and folders of all sizes', async (t) => {
  const folder = t.testdir();
  const sizes = [0, 1, block - 1, block, block + 1, 3 * block, 10 * block + 17];
  for (const [i, sizeBytes] of sizes.entries()) {
    write(folder, { [`all/${i}/file`]: sizeBytes, [`file ${i}`]: sizeBytes });
    const path = join(folder, `file ${i}`);
    await checkIndex(t, path, await index(t, path));
  }
  mkdirSync(join(folder, 'all', 'empty'));
  const path = join(folder, 'all');
  await checkIndex(t, path, await index(t, path));
  symlinkSync('all', join(folder, 'link'));
  await checkIndex(t, join(folder, 'link'), await index(t, join(folder, 'link')));
  await t.rejects(index(t, join(folder, 'missing')), { code: 'SOURCE_UNREADABLE' });
});

t.test('a restart reads nothing again', async (t) => {
  const home = t.testdir();
  const folder = await IndexFolder.open(join(home, 'index'));
  write(home, { 'served/a': 5 * block, 'served/b/c': 100, 'served/d': 2 * block + 5 });
  const path = join(home, 'served');
  const first = await index(t, path, { folder });
  t.equal(first.hashedBytes, 7 * block + 105);
  const [name = ''] = readdirSync(folder.path);
  const { ino } = statSync(join(folder.path, name));
  const again = await index(t, path, { folder });
  t.equal(again.hashedBytes, 0);
  await checkIndex(t, path, again);
  t.equal(statSync(join(folder.path, name)).ino, ino, 'nothing is written either');
  t.same(readdirSync(folder.path), [name]);
  t.equal((await index(t, join(path, 'a'), { folder })).hashedBytes, 5 * block, 'another path');
});

t.test('a file that changed just now is not trusted after a restart', async (t) => {
  const home = t.testdir();
  const folder = await IndexFolder.open(join(home, 'index'));
  write(home, { 'served/a': block, 'served/b': block });
  const path = join(home, 'served');
  Date.now = realNow;
  await index(t, path, { folder });
  Date.now = () => realNow() + 60_000;
  t.equal((await index(t, path, { folder })).hashedBytes, 2 * block);
  t.equal((await index(t, path, { folder })).hashedBytes, 0, 'the second time');
  utimesSync(join(path, 'a'), 2 ** 33, 2 ** 33);
  for (const time of ['first', 'second']) {
    t.equal((await index(t, path, { folder })).hashedBytes, block, `in the future, ${time} time`);
  }
});

/** Something that people do with files. */
const change = fc.record({
  kind: fc.constantFrom('rewrite', 'append', 'remove', 'add', 'replace', 'touch', 'hide'),
  file: fc.nat(),
  sizeBytes: fc.constantFrom(0, 1, 100, block - 1, block, block + 1, 2 * block),
});

function apply(
  path: string,
  { kind, file, sizeBytes }: typeof change extends fc.Arbitrary<infer T> ? T : never,
) {
  const names = readdirSync(path);
  const target = join(path, names[file % Math.max(1, names.length)] ?? 'none');
  const bytes = randomBytes(sizeBytes);
  if (kind === 'add' || names.length === 0) writeFileSync(join(path, `new ${file}`), bytes);
  else if (kind === 'remove') rmSync(target);
  else if (kind === 'append') appendFileSync(target, bytes);
  else if (kind === 'touch') utimesSync(target, file % 1e9, file % 1e9);
  else if (kind === 'rewrite') writeFileSync(target, randomBytes(statSync(target).size));
  else if (kind === 'replace') {
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, target);
  } else {
    // A program that changes the content and sets the time back.
    const { size, atime, mtime } = statSync(target);
    writeFileSync(target, randomBytes(size));
    utimesSync(target, atime, mtime);
  }
}

t.test('after any changes, the index is that of the new content', async (t) => {
  const home = t.testdir();
  const folder = await IndexFolder.open(join(home, 'index'));
  const sizes = fc.array(fc.constantFrom(0, 1, 1000, block, 2 * block, 3 * block + 7), {
    maxLength: 6,
  });
  let round = 0;
  let hashedBytes = 0;
  let totalBytes = 0;
  const property = fc.asyncProperty(
    sizes,
    fc.array(change, { maxLength: 3 }),
    async (sizes, changes) => {
      const path = join(home, `served ${round++}`);
      mkdirSync(path);
      write(path, Object.fromEntries(sizes.map((sizeBytes, i) => [`file ${i}`, sizeBytes])));
      const kept = new ObjectIndex(path, round % 2 === 0 ? { folder } : {});
      const first = await kept.refresh();
      t.equal(await kept.refresh(), first, 'nothing has changed');
      for (const each of changes) apply(path, each);
      const running = await kept.refresh();
      const restarted = await index(t, path, { folder });
      for (const indexed of [running, restarted]) await checkIndex(t, path, indexed);
      hashedBytes += running.hashedBytes;
      totalBytes += running.listed.source.manifest.contentSizeBytes;
      if (running !== first) await first.listed.close();
      await running.listed.close();
      rmSync(path, { recursive: true });
    },
  );
  await fc.assert(property, { numRuns: 60, seed: 1 });
  t.ok(hashedBytes < totalBytes, `${hashedBytes} of ${totalBytes} bytes were read`);
});

t.test('only the blocks of a file that keeps its size are read again', async (t) => {
  const home = t.testdir();
  write(home, { 'served/a': 20 * block + 5, 'served/b': 1000, 'served/c': 20 * block });
  const path = join(home, 'served');
  const kept = new ObjectIndex(path);
  const hash = async () => {
    await kept.current?.listed.close();
    return (await kept.refresh()).hashedBytes;
  };
  await hash();
  write(home, { 'served/b': 1000 });
  t.equal(await hash(), block);
  write(home, { 'served/d': 10 });
  t.equal(await hash(), 1015, 'a new file at the end');
  write(home, { 'served/b': 1001 });
  t.equal(await hash(), 20 * block + 1016, 'what follows has moved');
  await kept.current?.listed.close();
});

t.test('files that change while they are hashed', async (t) => {
  const home = t.testdir();
  write(home, { 'served/a': 40 * block, 'served/b': 40 * block, 'served/c': 10 });
  const path = join(home, 'served');
  for (const name of ['a', 'b', 'c']) {
    let isChanged = false;
    const indexed = await index(t, path, {
      onProgress: (doneBytes) => {
        if (isChanged || doneBytes < 20 * block) return;
        isChanged = true;
        write(home, { [`served/${name}`]: statSync(join(path, name)).size });
      },
    });
    await checkIndex(t, path, indexed);
  }
  let calls = 0;
  const busy = new ObjectIndex(path, {
    onProgress: () => write(home, { 'served/c': calls++ % 7 }),
  });
  await t.rejects(busy.refresh(), { code: 'SOURCE_CHANGED', message: /c: was written to/ });
  t.equal(busy.current, undefined);
});

t.test('nothing is read from a file that is no longer the one that was indexed', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  const changes: [string, () => void][] = [
    ['written', () => writeFileSync(path, randomBytes(100 * block))],
    ['appended', () => appendFileSync(path, 'x')],
    ['shortened', () => writeFileSync(path, randomBytes(10))],
    ['removed', () => rmSync(path)],
    [
      'replaced',
      () => {
        write(home, { other: 100 * block });
        renameSync(join(home, 'other'), path);
      },
    ],
    [
      'written, and its time set back',
      () => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, randomBytes(100 * block));
        utimesSync(path, atime, mtime);
      },
    ],
  ];
  for (const [how, change] of changes) {
    write(home, { file: 100 * block });
    const before = readFileSync(path);
    const { listed } = await index(t, path);
    const read = (at: number) => listed.source.read(at * block, block);
    t.strictSame(Buffer.from(await read(3)), before.subarray(3 * block, 4 * block), how);
    change();
    for (const at of [3, 50, 99, 0]) {
      const result = await read(at).catch((error: P2mpError) => error.code);
      // What is in memory is still that of the index.
      if (result instanceof Uint8Array) {
        t.strictSame(Buffer.from(result), before.subarray(at * block, (at + 1) * block), how);
      } else t.equal(result, 'SOURCE_CHANGED', how);
    }
    await t.rejects(listed.verify(), { code: 'SOURCE_CHANGED' }, how);
  }
});

t.test('other work goes on meanwhile', async (t) => {
  const home = t.testdir();
  write(home, { file: 200 * block });
  let turns = 0;
  const seen: number[] = [];
  const onProgress = (done: number, total: number) => seen.push(done / total);
  await lookDuring(index(t, join(home, 'file'), { onProgress }), () => turns++);
  t.ok(turns >= 50, `${turns} turns for 200 blocks`);
  t.ok(seen.length >= 50 && seen.at(-1) === 1, 'progress is reported to the end');
  t.strictSame(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

t.test('an aborted index', async (t) => {
  const home = t.testdir();
  write(home, { file: 50 * block });
  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error('enough'));
  const { signal } = controller;
  await t.rejects(index(t, join(home, 'file'), { signal, onProgress }), { message: 'enough' });
});

t.test('a folder of indexes that cannot be written', async (t) => {
  const home = t.testdir();
  const folder = await IndexFolder.open(join(home, 'index'));
  rmSync(folder.path, { recursive: true });
  write(home, { file: 5 * block });
  const unsaved: P2mpError[] = [];
  const path = join(home, 'file');
  await checkIndex(
    t,
    path,
    await index(t, path, { folder, onUnsaved: (error) => unsaved.push(error) }),
  );
  t.match(unsaved, [{ code: 'TARGET_UNWRITABLE' }]);
  await t.rejects(IndexFolder.open(join(path, 'index')), { code: 'TARGET_UNWRITABLE' });
});
