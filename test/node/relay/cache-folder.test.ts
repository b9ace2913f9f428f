/** The cache of a relay on disk: what survives a restart, and what is not used after damage. */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileBudget } from '../../../src/node/disk/store/file-budget.js';
import { sha256 } from '../../../src/node/primitives/primitives.js';
import { CacheFolder, clearCache, listCache } from '../../../src/node/relay/cache-folder.js';
import type { ContentStore, HeldBlock } from '../../../src/object/content-store.js';
import { DigestTree } from '../../../src/object/digest-tree.js';
import { hashLeaf } from '../../../src/object/hash-tree.js';
import { encodeManifest } from '../../../src/object/manifest.js';
import { type ObjectHead, roomOf } from '../../../src/roles/relay/object-cache.js';
import { createContent } from '../../../src/simulator/transfer.js';
import { standardBlockSizeBytes } from '../../../src/wire/sizes.js';

const content = createContent('cached', 3 * standardBlockSizeBytes + 100);
const blockCount = 4;
const id = 'ab'.repeat(32);

function blockOf(index: number): Uint8Array {
  return content.subarray(index * standardBlockSizeBytes, (index + 1) * standardBlockSizeBytes);
}

function headOf(): ObjectHead {
  const digestTree = new DigestTree(sha256, blockCount);
  for (let i = 0; i < blockCount; i++) digestTree.set(i, hashLeaf(sha256, blockOf(i)));
  const entry = { kind: 'file', name: 'a', mode: 0o644, modifiedMs: 1 } as const;
  const contentSizeBytes = content.length;
  const entries = [{ ...entry, sizeBytes: contentSizeBytes }];
  const manifest = encodeManifest({ entries, contentSizeBytes });
  const digests = { contentRoot: digestTree.root(), manifestDigest: sha256(manifest) };
  return {
    name: 'a',
    label: 'A',
    contentSizeBytes,
    listedAtMs: 5,
    manifest,
    digestTree,
    ...digests,
  };
}

const head = headOf();

function openFolder(path: string): Promise<CacheFolder> {
  return CacheFolder.open({
    ...{ path, fileBudget: new FileBudget(16) },
    handleError: (error) => {
      throw error;
    },
  });
}

async function openContent(folder: CacheFolder, known: ObjectHead | undefined) {
  const store = folder.open(id, content.length, known, (error) => {
    throw error;
  });
  const held = await new Promise<number[]>((resolve) =>
    store.open((found) => resolve([...(found.held as HeldBlock[])].map(({ index }) => index))),
  );
  return { store, held };
}

function write(store: ContentStore, index: number): Promise<void> {
  return new Promise((resolve) =>
    store.write(index * standardBlockSizeBytes, blockOf(index), resolve),
  );
}

function read(store: ContentStore, index: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve) =>
    store.read(index * standardBlockSizeBytes, blockOf(index).length, resolve),
  );
}

/** A cache with some of the blocks of the object, closed. */
async function fill(t: Test, blocks: readonly number[]): Promise<string> {
  const path = join(t.testdir({}), 'cache');
  const folder = await openFolder(path);
  const { store, held } = await openContent(folder, undefined);
  t.same(held, []);
  folder.save(id, head);
  for (const block of blocks) await write(store, block);
  store.end(false);
  await folder.close();
  return path;
}

t.test('an object in part is there after a restart', async (t) => {
  const path = await fill(t, [0, 3]);
  const folder = await openFolder(path);
  t.match(folder.objects, [{ id, name: 'a', isWhole: false, contentSizeBytes: content.length }]);
  const known = await new Promise<ObjectHead | undefined>((resolve) => folder.load(id, resolve));
  t.same(known?.manifest, head.manifest);
  t.same(known?.digestTree.root(), head.contentRoot);
  const { store, held } = await openContent(folder, known);
  t.same(held, [0, 3]);
  t.same(await read(store, 3), blockOf(3));
  t.equal(await read(store, 1), undefined);
  for (const block of [1, 2]) await write(store, block);
  store.end(false);
  await folder.close();
  const again = await openFolder(path);
  t.match(again.objects, [{ isWhole: true }]);
  await again.close();
});

t.test('it takes less than the room that is reserved for it', async (t) => {
  const path = await fill(t, [0, 1, 2, 3]);
  let sizeBytes = 0;
  for (const name of await readdir(path, { recursive: true })) {
    const { size, blocks } = await stat(join(path, name));
    sizeBytes += Math.max(size, blocks * 512);
  }
  const roomBytes = roomOf(content.length, head.manifest.length, blockCount);
  t.ok(sizeBytes <= roomBytes, `${sizeBytes} of ${roomBytes} bytes`);
});

t.test('a damaged description is not used', async (t) => {
  const path = await fill(t, [0, 1, 2, 3]);
  const file = join(path, `${id}.object`);
  const bytes = await readFile(file);
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] as number) ^ 1;
  await writeFile(file, bytes);
  const folder = await openFolder(path);
  const known = await new Promise<ObjectHead | undefined>((resolve) => folder.load(id, resolve));
  t.equal(known, undefined);
  await new Promise<boolean>((resolve) => folder.remove(id, resolve));
  await folder.close();
  t.same(await readdir(path), ['p2mp-cache']);
});

t.test('what a crash has left without its other half is removed', async (t) => {
  const path = await fill(t, [0]);
  await writeFile(join(path, `${'cd'.repeat(32)}.object`), 'p2mp');
  await writeFile(join(path, `${id}.object.00ff.unfinished`), 'p2mp');
  const folder = await openFolder(path);
  t.equal(folder.objects.length, 1);
  await folder.close();
  t.same((await readdir(path)).toSorted(), ['.p2mp-part', `${id}.object`, 'p2mp-cache']);
  await writeFile(join(path, `${id}.object`), '');
  const empty = await openFolder(path);
  t.same(empty.objects, []);
  await empty.close();
  t.same(await readdir(path), ['p2mp-cache']);
});

t.test('two relays never share a cache', async (t) => {
  const path = await fill(t, [0]);
  const folder = await openFolder(path);
  await t.rejects(openFolder(path), {
    code: 'TARGET_UNWRITABLE',
    message: `${path}: is the cache of another process; stop it, or choose another folder`,
  });
  await folder.close();
});

t.test('a folder that is not a cache is refused and stays as it is', async (t) => {
  const id = 'ab'.repeat(32);
  const part = { '.p2mp-part': { [id]: { journal: 'j' } }, lock: 'mine' };
  const path = t.testdir({ downloads: part });
  const downloads = join(path, 'downloads');
  const refused = { code: 'TARGET_UNWRITABLE', message: /is not the cache of a relay; choose/ };
  await t.rejects(openFolder(downloads), refused);
  await t.rejects(listCache(downloads), refused);
  await t.rejects(clearCache(downloads), refused);
  t.same((await readdir(downloads)).toSorted(), ['.p2mp-part', 'lock']);
  t.equal(await readFile(join(downloads, 'lock'), 'utf8'), 'mine');
  t.same(await readdir(join(downloads, '.p2mp-part', id)), ['journal']);
  await t.rejects(listCache(join(path, 'mistyped')), { code: 'TARGET_UNWRITABLE' });
  t.same(await readdir(path), ['downloads'], 'nothing is created');
});
