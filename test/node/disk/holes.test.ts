/** Long runs of zeros take no disk space and still read back as sent. */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { canHaveHoles, findHoles } from '../../../src/node/disk/holes.js';
import { PartStore } from '../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../src/node/disk/parts/part-store-options.js';
import { checkTarget, FileSink } from '../../../src/node/disk/store/file-sink.js';
import { createManifest } from '../../../src/object/manifest.js';
import { SessionHost, sendTo, sha256 } from '../../support/session-host.js';

const blockSizeBytes = 63_000;
const pageBytes = 4096;
const mebibyte = 1024 * 1024;

const usedBytes = (path: string) => statSync(path).blocks * 512;

/** Zeros, with random bytes at these offsets. */
function withIslands(sizeBytes: number, offsets: readonly number[], islandBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes);
  for (const offset of offsets) randomBytes(islandBytes).copy(content, offset);
  return content;
}

async function writeSparse(path: string, content: Buffer): Promise<void> {
  const handle = await open(path, 'w');
  for (let at = 0; at < content.length; at += pageBytes) {
    const page = content.subarray(at, at + pageBytes);
    if (!page.equals(Buffer.alloc(page.length))) await handle.write(page, 0, page.length, at);
  }
  await handle.truncate(content.length);
  await handle.close();
}

/** A store of one file, `image`, which writes it by blocks. */
function createImage(content: Buffer) {
  const manifest = createManifest([
    { kind: 'file', name: 'image', mode: 0o644, modifiedMs: 1e12, sizeBytes: content.length },
  ]);
  const partId = '5e'.repeat(32);
  const openStore = (dir: string, options: Partial<PartStoreOptions> = {}) =>
    PartStore.open({ dir, partId, manifest, blockSizeBytes, existing: 'update', ...options });
  const blockCount = Math.ceil(content.length / blockSizeBytes);
  const write = async (store: PartStore, from: number, to: number) => {
    const blocks = Array.from({ length: to - from }, (_, i) => (from + i) * blockSizeBytes);
    await Promise.all(
      blocks.map((at) => store.write(at, content.subarray(at, at + blockSizeBytes))),
    );
  };
  return { openStore, blockCount, write };
}

const testDisk = t.testdir();
const skip = (await canHaveHoles(testDisk)) ? false : 'files here have no holes';

t.test('runs of zeros are found by pages, across buffers', async (t) => {
  const content = withIslands(40 * pageBytes, [0, 20 * pageBytes], 100);
  const parts = [
    content.subarray(0, 50_001),
    content.subarray(50_001, 50_002),
    content.subarray(50_002),
  ];
  const expected = [
    { start: pageBytes, end: 20 * pageBytes },
    { start: 21 * pageBytes, end: 40 * pageBytes },
  ];
  t.same(findHoles(parts, 0), expected);
  t.same(findHoles(parts, 10 * pageBytes), expected, 'anywhere in the file');
  t.same(
    findHoles(parts, 1),
    [
      { start: pageBytes - 1, end: 20 * pageBytes - 1 },
      { start: 21 * pageBytes - 1, end: 40 * pageBytes },
    ],
    'pages are aligned to the file; only the end of what is written may be shorter',
  );
  t.same(findHoles([Buffer.alloc(40_001)], 77), [{ start: 0, end: 40_001 }]);
  t.same(findHoles([Buffer.alloc(20_000)], 0), [], 'a short run is not worth a hole');
  t.same(findHoles([randomBytes(100_000)], 0), []);
});

t.test('a sparse file arrives sparse, with the same bytes', { skip }, async (t) => {
  const folder = t.testdir({ out: {}, in: {} });
  const source = join(folder, 'out', 'image');
  await writeSparse(source, withIslands(96 * mebibyte, [0, 5e6, 40e6, 96 * mebibyte - 5000], 5000));
  t.ok(usedBytes(source) < mebibyte);
  const host = await SessionHost.open(t, join(folder, 'in'));
  t.match((await sendTo([host], [source])).receivers, [{ status: 'complete' }]);
  t.equal(sha256(host.path('image')), sha256(source));
  t.ok(usedBytes(host.path('image')) < 2 * mebibyte, `${usedBytes(host.path('image'))} B`);
});

t.test('a file that ends in zeros has its size', { skip }, async (t) => {
  const dir = t.testdir();
  const content = withIslands(4 * mebibyte + 17, [1e6], 1000);
  const image = createImage(content);
  const store = await image.openStore(dir);
  await image.write(store, 0, image.blockCount);
  await store.finish();
  t.ok(readFileSync(join(dir, 'image')).equals(content));
  t.ok(usedBytes(join(dir, 'image')) < mebibyte);
});

t.test('a resumed part keeps its holes: the zeros count as held', { skip }, async (t) => {
  const dir = t.testdir();
  const content = withIslands(8 * mebibyte, [2e6, 6e6], 1000);
  const image = createImage(content);
  const half = image.blockCount >>> 1;
  const first = await image.openStore(dir);
  await image.write(first, 0, half);
  await first.suspend();
  const second = await image.openStore(dir, { verifiesDisk: true });
  t.equal(second.held.length, half);
  await image.write(second, half, image.blockCount);
  t.same(
    await second.findDamage((block) => second.held[block]?.leaf ?? Buffer.alloc(32)),
    [...Array(image.blockCount - half).keys()].map((i) => i + half),
    'the held zeros are unchanged',
  );
  await second.finish();
  t.ok(readFileSync(join(dir, 'image')).equals(content));
  t.ok(usedBytes(join(dir, 'image')) < 2 * mebibyte);
});

t.test('zeros replace what a part held before', async (t) => {
  const dir = t.testdir();
  const content = withIslands(4 * mebibyte, [0], 1000);
  const image = createImage(content);
  const store = await image.openStore(dir);
  await store.write(0, randomBytes(content.length));
  for (let block = 0; block < image.blockCount; block++) await store.forget(block);
  await image.write(store, 0, image.blockCount);
  await store.finish();
  t.ok(readFileSync(join(dir, 'image')).equals(content));
});

t.test('zeros replace what a file held; the rest of the file is copied', async (t) => {
  const content = withIslands(4 * mebibyte, [3e6], 1000);
  const old = Buffer.from(content);
  randomBytes(mebibyte).copy(old, 500_000);
  const dir = t.testdir({ image: old });
  const image = createImage(content);
  const store = await image.openStore(dir);
  await image.write(store, 0, image.blockCount);
  await store.finish();
  t.ok(readFileSync(join(dir, 'image')).equals(content));
});

t.test('a copy of an existing file keeps its holes', { skip }, async (t) => {
  const dir = t.testdir();
  const content = withIslands(16 * mebibyte, [0, 3e6, 16 * mebibyte - 2000], 2000);
  await writeSparse(join(dir, 'image'), content);
  content[1_000_000] = 1;
  const image = createImage(content);
  const store = await image.openStore(dir);
  const changed = Math.floor(1_000_000 / blockSizeBytes);
  await image.write(store, changed, changed + 1);
  await store.finish();
  t.ok(readFileSync(join(dir, 'image')).equals(content));
  t.ok(usedBytes(join(dir, 'image')) < mebibyte);
});

t.test('zeros do not complete a truncated file', { skip }, async (t) => {
  const dir = t.testdir();
  const image = createImage(Buffer.alloc(4 * mebibyte));
  const store = await image.openStore(dir);
  await image.write(store, 0, image.blockCount - 1);
  truncateSync(join(dir, '.p2mp-part', '5e'.repeat(32), '0'), 1000);
  await image.write(store, image.blockCount - 1, image.blockCount);
  await t.rejects(store.finish(), { message: /was truncated before/ });
  await store.discard();
});

t.test('P2MP-FTP: zeros become holes, also at the end', { skip }, async (t) => {
  const path = join(t.testdir(), 'image');
  const content = withIslands(4 * mebibyte + 5, [0, 2e6], 100);
  const sink = new FileSink(await checkTarget(path), {
    handleWritten: () => undefined,
    handleError: (error) => t.fail(error.message),
  });
  for (let at = 0; at < content.length; at += 1460) {
    sink.write(content.subarray(at, at + 1460), false);
  }
  await sink.finish();
  t.ok(readFileSync(path).equals(content));
  t.ok(usedBytes(path) < mebibyte);
});
