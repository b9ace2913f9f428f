/** How an object is split: blocks and segments cover it exactly, and absurd sizes are rejected. */
import * as fc from 'fast-check';
import t from 'tap';
import {
  createSessionGeometry,
  isManifestBlock,
  offsetOfBlock,
  type SessionGeometry,
  segmentCountOfBlock,
  sizeOfBlock,
  sizeOfSegment,
} from '../../src/object/geometry.js';
import { tagSizeBytes } from '../../src/wire/sizes.js';

const full = 61_440;
const create = (manifest: number, content: number, mss = 1400, blockSizeBytes = full) =>
  createSessionGeometry(manifest, content, mss, blockSizeBytes);

/** Whether the blocks of one part are contiguous and cover it. */
function isMadeUp(geometry: SessionGeometry, first: number, end: number, total: number): boolean {
  let offset = 0;
  for (let block = first; block < end; block++) {
    const size = sizeOfBlock(geometry, block);
    const isSound =
      offsetOfBlock(geometry, block) === offset &&
      size >= 1 &&
      (block === end - 1 ? size <= geometry.blockSizeBytes : size === geometry.blockSizeBytes);
    if (!isSound) return false;
    offset += size;
  }
  return offset === total;
}

function hasSoundSegments(geometry: SessionGeometry, block: number): boolean {
  const count = segmentCountOfBlock(geometry, block);
  let sum = 0;
  for (let segment = 0; segment < count; segment++) {
    const size = sizeOfSegment(geometry, block, segment);
    const isLast = segment === count - 1;
    if (size < 1 || size > geometry.mssBytes) return false;
    if (!isLast && size !== geometry.mssBytes) return false;
    sum += size;
  }
  return count <= geometry.segmentsPerBlock && sum === sizeOfBlock(geometry, block) + tagSizeBytes;
}

t.test('blocks cover manifest and content, and segments cover the sealed blocks', (t) => {
  const property = fc.property(
    fc.nat(20_000),
    fc.nat(40_000),
    fc.integer({ min: 64, max: 2000 }),
    fc.integer({ min: 1, max: 64 }),
    fc.nat(63),
    (manifest, content, mss, segments, short) => {
      const blockSizeBytes = mss * segments - tagSizeBytes - Math.min(short, mss - 17);
      const geometry = create(manifest, content, mss, blockSizeBytes);
      if (geometry === undefined) return false;
      const { manifestBlockCount, blockCount } = geometry;
      const blocks = Array.from({ length: blockCount }, (_, block) => block);
      return (
        isMadeUp(geometry, 0, manifestBlockCount, manifest) &&
        isMadeUp(geometry, manifestBlockCount, blockCount, content) &&
        blocks.every((block) => hasSoundSegments(geometry, block)) &&
        blocks.every((block) => isManifestBlock(geometry, block) === block < manifestBlockCount)
      );
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a block filled to the last byte needs no further block', (t) => {
  for (const [content, blocks, lastSize] of [
    [0, 0, undefined],
    [1, 1, 1],
    [full, 1, full],
    [full + 1, 2, 1],
    [2 * full, 2, full],
  ] as const) {
    const geometry = create(0, content) as SessionGeometry;
    t.equal(geometry.blockCount, blocks, `${content} bytes`);
    if (lastSize !== undefined) t.equal(sizeOfBlock(geometry, blocks - 1), lastSize);
  }
  t.end();
});

t.test('the tag may need a segment of its own', (t) => {
  const count = (content: number) => segmentCountOfBlock(create(0, content) as SessionGeometry, 0);
  t.equal(count(1400 - 16), 1);
  t.equal(count(1400 - 15), 2);
  t.equal(count(1400), 2);
  t.equal(count(full), 44);
  t.equal(sizeOfSegment(create(0, 1400) as SessionGeometry, 0, 1), 16);
  t.end();
});

t.test('manifest and content do not share a block', (t) => {
  const geometry = create(full + 10, 20) as SessionGeometry;
  t.match(geometry, { blockSizeBytes: full, manifestBlockCount: 2, blockCount: 3 });
  t.same(
    [0, 1, 2].map((block) => [offsetOfBlock(geometry, block), sizeOfBlock(geometry, block)]),
    [
      [0, full],
      [full, 10],
      [0, 20],
    ],
  );
  t.end();
});

t.test('sizes that no session can have are rejected', (t) => {
  for (const mss of [-1, 0, 480, 65_001, 2 ** 16, 1400.5, Number.NaN]) {
    t.equal(create(0, 1, mss), undefined, `MSS ${mss}`);
  }
  for (const mss of [481, 65_000]) t.ok(create(0, 1, mss), `MSS ${mss}`);
  t.equal(create(0, 1, 63, 128 * 64 - 16), undefined, 'too many segments');
  t.equal(create(0, 1, 64, 128 * 64 - 16)?.segmentsPerBlock, 128);
  t.end();
});

t.test('manifest and content together have a maximum number of blocks', (t) => {
  const most = 2 ** 24;
  t.equal(create(0, most * full)?.blockCount, most);
  t.equal(create(0, most * full + 1), undefined);
  t.equal(create(full, (most - 1) * full)?.blockCount, most);
  t.equal(create(full + 1, (most - 1) * full), undefined);
  t.equal(create(0, Number.MAX_SAFE_INTEGER), undefined);
  t.equal(create(Number.MAX_SAFE_INTEGER, 0), undefined);
  t.end();
});

t.test('sizes far beyond 2^32 bytes are exact', (t) => {
  const content = (2 ** 24 - 1) * full + 12_345;
  const geometry = create(0, content) as SessionGeometry;
  const last = geometry.blockCount - 1;
  t.equal(offsetOfBlock(geometry, last), last * full);
  t.equal(sizeOfBlock(geometry, last), 12_345);
  t.end();
});

t.test('a block outside the object is an internal error', (t) => {
  const geometry = create(10, 10) as SessionGeometry;
  t.throws(() => sizeOfBlock(geometry, 2), /a block of this session/);
  t.throws(() => segmentCountOfBlock(geometry, 2), /a block of this session/);
  t.end();
});

t.test('the blocks of an object are the same for every MSS', (t) => {
  const [most, fewest] = [481, 65_000].map((mss) => create(500, 1_000_000, mss)?.segmentsPerBlock);
  t.same([most, fewest], [128, 1]);
  for (const mss of [481, 508, 1200, 1400, 8940, 65_000]) {
    t.match(create(500, 1_000_000, mss), { blockSizeBytes: full, blockCount: 18 }, `MSS ${mss}`);
  }
  t.end();
});
