import fc from 'fast-check';
import t from 'tap';
import { P2mpError } from '../../src/base/errors.js';
import { maxMssBytes, maxSegmentCount } from '../../src/classic/config.js';
import {
  blockOffsetBytes,
  blockSizeBytes,
  createGeometry,
  firstSegment,
  segmentOffsetBytes,
  segmentSizeBytes,
  segmentsInBlock,
} from '../../src/classic/segment.js';
import { maxSegmentsPerBlock } from '../../src/wire/sizes.js';

const mssSizes = fc.integer({ min: 1, max: maxMssBytes });
const blockLengths = fc.integer({ min: 1, max: maxSegmentsPerBlock });
/** Files of up to 2000 segments, with sizes near a whole number of them and others. */
const smallFiles = fc
  .tuple(fc.nat(2_000), mssSizes, blockLengths, fc.double({ min: 0, max: 1, noNaN: true }))
  .map(
    ([count, mss, perBlock, part]) => [Math.floor((count + part) * mss), mss, perBlock] as const,
  );

function refusal(sizeBytes: number, mssBytes: number, segmentsPerBlock: number): string {
  try {
    createGeometry(sizeBytes, mssBytes, segmentsPerBlock);
  } catch (error) {
    if (error instanceof P2mpError && error.code === 'INVALID_ARGUMENT') return error.message;
  }
  return 'not refused as an invalid argument';
}

t.test('a file of a megabyte is split as computed by hand', (t) => {
  const geometry = createGeometry(1_048_576, 500, 40);
  t.equal(geometry.segmentCount, 2_098);
  t.equal(geometry.blockCount, 53);
  t.equal(segmentOffsetBytes(geometry, 2_097), 1_048_500);
  t.equal(segmentSizeBytes(geometry, 2_097), 76);
  t.equal(firstSegment(geometry, 52), 2_080);
  t.equal(segmentsInBlock(geometry, 52), 18);
  t.equal(blockSizeBytes(geometry, 0), 20_000);
  t.end();
});

t.test(
  'an empty file has no segment and no block; a whole number of segments leaves no rest',
  (t) => {
    t.match(createGeometry(0, 500, 1), { segmentCount: 0, blockCount: 0 });
    const whole = createGeometry(1_000, 500, 1);
    t.equal(whole.segmentCount, 2);
    t.equal(segmentSizeBytes(whole, 1), 500);
    t.equal(createGeometry(1_001, 500, 1).segmentCount, 3);
    t.end();
  },
);

t.test('segments tile the file, and all but the last have MSS bytes', (t) => {
  const property = fc.property(smallFiles, ([sizeBytes, mssBytes, segmentsPerBlock]) => {
    const geometry = createGeometry(sizeBytes, mssBytes, segmentsPerBlock);
    let nextBytes = 0;
    for (let i = 0; i < geometry.segmentCount; i++) {
      const size = segmentSizeBytes(geometry, i);
      const isLast = i === geometry.segmentCount - 1;
      if (segmentOffsetBytes(geometry, i) !== nextBytes) return false;
      if (isLast ? size < 1 || size > mssBytes : size !== mssBytes) return false;
      nextBytes += size;
    }
    return nextBytes === sizeBytes;
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});

t.test('blocks tile the segments and the bytes, and all but the last are full', (t) => {
  const property = fc.property(smallFiles, ([sizeBytes, mssBytes, segmentsPerBlock]) => {
    const geometry = createGeometry(sizeBytes, mssBytes, segmentsPerBlock);
    let nextSegment = 0;
    let nextBytes = 0;
    for (let i = 0; i < geometry.blockCount; i++) {
      const count = segmentsInBlock(geometry, i);
      const isLast = i === geometry.blockCount - 1;
      if (firstSegment(geometry, i) !== nextSegment) return false;
      if (blockOffsetBytes(geometry, i) !== nextBytes) return false;
      if (isLast ? count < 1 || count > segmentsPerBlock : count !== segmentsPerBlock) return false;
      nextSegment += count;
      nextBytes += blockSizeBytes(geometry, i);
    }
    return nextSegment === geometry.segmentCount && nextBytes === sizeBytes;
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});

t.test('the ends of the largest files are split to the byte', (t) => {
  const sizes = fc.integer({ min: 1, max: maxMssBytes });
  const property = fc.property(mssSizes, blockLengths, sizes, (mssBytes, perBlock, rest) => {
    const lastBytes = Math.min(rest, mssBytes);
    const sizeBytes = (maxSegmentCount - 1) * mssBytes + lastBytes;
    const geometry = createGeometry(sizeBytes, mssBytes, perBlock);
    const last = geometry.segmentCount - 1;
    return (
      last === maxSegmentCount - 1 &&
      segmentSizeBytes(geometry, last) === lastBytes &&
      segmentOffsetBytes(geometry, last) + lastBytes === sizeBytes &&
      firstSegment(geometry, geometry.blockCount) === geometry.segmentCount
    );
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('impossible sizes are refused, and the message names them', (t) => {
  for (const size of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    t.match(refusal(size, 500, 1), `file size ${size}:`);
  }
  for (const mss of [0, -500, 1.5, NaN, maxMssBytes + 1]) {
    t.match(refusal(1_000, mss, 1), `MSS ${mss}: must be a whole number of bytes from 1 to 65499`);
  }
  for (const count of [0, -1, 1.5, NaN, maxSegmentsPerBlock + 1]) {
    t.match(
      refusal(1_000, 500, count),
      `block of ${count} segments: must have from 1 to 128 segments`,
    );
  }
  t.end();
});

t.test('a file with too many segments is refused with an MSS that would work', (t) => {
  t.equal(createGeometry(maxSegmentCount, 1, 1).segmentCount, maxSegmentCount);
  t.match(refusal(maxSegmentCount + 1, 1, 1), /use an MSS of at least 2$/);
  const property = fc.property(fc.integer({ min: 2, max: maxMssBytes }), fc.nat(), (mss, rest) => {
    const sizeBytes = (mss - 1) * maxSegmentCount + 1 + rest;
    const advice = Number(/at least (\d+)$/.exec(refusal(sizeBytes, mss - 1, 1))?.[1]);
    return advice === mss && createGeometry(sizeBytes, advice, 1).segmentCount <= maxSegmentCount;
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});
