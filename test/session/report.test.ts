/** Reports: what is written reads back, and forged bytes do no harm. */
import * as fc from 'fast-check';
import t from 'tap';
import { SegmentSet } from '../../src/base/segment-set.js';
import { ByteReader, ByteWriter } from '../../src/wire/byte-codec.js';
import type { Gap, Report } from '../../src/wire/report.js';
import { maxGapSizeBytes, readReport, writeReport } from '../../src/wire/report.js';

const segments = fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 40 });
const burst = fc.option(fc.integer({ min: 0, max: 0xffff }), { nil: undefined });
const gap = fc.oneof(
  fc.record({ gap: fc.nat(1000), size: fc.integer({ min: 1, max: 1e6 }) }),
  fc.record({ gap: fc.nat(1000), segments }),
  fc.record({ gap: fc.nat(1000), segments: fc.constantFrom([31], [31, 32], [31, 63], [255]) }),
);
const report = fc
  .record({
    state: fc.constantFrom('preparing', 'receiving', 'whole', 'storing'),
    path: fc.nat(3),
    cumulativeBurst: burst,
    largestBurst: burst,
    ackDelayMs: fc.nat(1e9).map((us) => us / 1000),
    stampMs: fc.nat(1e9).map((us) => us / 1000),
    isMulticastReachable: fc.boolean(),
    wantsTags: fc.boolean(),
    windowBlocks: fc.nat(1e6),
    shareBytesPerSec: fc.option(fc.maxSafeNat(), { nil: undefined }),
    segmentsReceived: fc.nat(),
    segmentsLost: fc.nat(),
    missingBytes: fc.maxSafeNat(),
    receivedBytes: fc.maxSafeNat(),
    firstBlock: fc.nat(1e9),
    trailing: fc.nat(100),
    entries: fc.array(gap, { maxLength: 30 }),
  })
  .map(({ trailing, entries, ...fields }): Report => {
    const gaps: Gap[] = [];
    let next = fields.firstBlock;
    for (const entry of entries) {
      const firstBlock = next + entry.gap;
      if ('size' in entry) {
        gaps.push({ kind: 'whole', firstBlock, blockCount: entry.size });
        next = firstBlock + entry.size;
      } else {
        gaps.push({ kind: 'part', firstBlock, segments: SegmentSet.of(entry.segments) });
        next = firstBlock + 1;
      }
    }
    return { ...fields, gaps, describedBlocks: next + trailing } as Report;
  });

function encode(report: Report): Uint8Array {
  const writer = new ByteWriter();
  writeReport(writer, report);
  return writer.finish();
}

t.test('a report reads back as written, and no entry exceeds its size limit', (t) => {
  const property = fc.property(report, (written) => {
    const bytes = encode(written);
    const bare = encode({ ...written, gaps: [] });
    t.strictSame(readReport(new ByteReader(bytes)), written);
    return bytes.length - bare.length <= written.gaps.length * maxGapSizeBytes(256);
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('the gap list of a truncated report stays within its bytes', (t) => {
  const property = fc.property(report, fc.nat(), (written, cut) => {
    const bytes = encode(written);
    return isSound(readReport(new ByteReader(bytes.subarray(0, cut % bytes.length))));
  });
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('arbitrary bytes give an ascending gap list within the range that they describe', (t) => {
  const any = fc.uint8Array({ maxLength: 60 });
  const started = fc
    .tuple(report, any)
    .map(([written, rest]) => Uint8Array.of(...encode({ ...written, gaps: [] }), ...rest));
  const property = fc.property(fc.oneof(any, started), (bytes) =>
    isSound(readReport(new ByteReader(bytes))),
  );
  fc.assert(property, { seed: 1, numRuns: 5000 });
  t.end();
});

function isSound(read: Report | undefined): boolean {
  if (read === undefined) return true;
  let next = read.firstBlock;
  for (const gap of read.gaps) {
    if (gap.firstBlock < next) return false;
    next = gap.firstBlock + (gap.kind === 'whole' ? gap.blockCount : 1);
    if (gap.kind === 'whole' && !(gap.blockCount >= 1)) return false;
  }
  return next <= read.describedBlocks && read.describedBlocks <= 2 ** 32;
}
