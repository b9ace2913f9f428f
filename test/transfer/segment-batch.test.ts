/** Segment batches: where each ends and what it contains. */
import * as fc from 'fast-check';
import t from 'tap';
import type { SessionGeometry } from '../../src/object/geometry.js';
import {
  createSessionGeometry,
  segmentCountOfBlock,
  sizeOfSegment,
} from '../../src/object/geometry.js';
import { SegmentBatch } from '../../src/transfer/segment-batch.js';
import type { BlockPacket } from '../../src/wire/header.js';
import { decodeSession, encodeProbeHeader, writeBlockHeader } from '../../src/wire/header.js';

/** The manifest has one block. The content has three, the last of them short. */
const geometry = createSessionGeometry(100, 700, 64, 240) as SessionGeometry;

interface Fields {
  readonly session?: number;
  readonly generation?: number;
  readonly burst?: number;
  readonly flags?: number;
  readonly isTagged?: boolean;
  /** Overrides the size of the segment. */
  readonly bodyBytes?: number;
}

function datagramOf(block: number, segment: number, fields: Fields = {}): Uint8Array {
  const { session = 9, generation = 1, burst = 5, flags = 0, isTagged = false } = fields;
  const isInside = block < geometry.blockCount && segment < segmentCountOfBlock(geometry, block);
  const { bodyBytes = isInside ? sizeOfSegment(geometry, block, segment) : 64 } = fields;
  const bytes = new Uint8Array(16 + bodyBytes + (isTagged ? 16 : 0)).fill(0xcc);
  writeBlockHeader(bytes, 0, isTagged, { session, generation, block, segment, flags, burst });
  bytes.fill(block * 16 + segment, 16, 16 + bodyBytes);
  return bytes;
}

const concat = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

/** The batches in order, each as its segment numbers; anything else by its size. */
function runsOf(bytes: Uint8Array): (number[] | string)[] {
  const batch = new SegmentBatch();
  const runs: (number[] | string)[] = [];
  for (let from = 0; from < bytes.length; from = batch.end) {
    const isRun = batch.read(geometry, bytes, from);
    if (!isRun) runs.push(`${batch.end - from} bytes`);
    else runs.push(Array.from({ length: batch.count }, (_, i) => batch.segment(i)));
    if (batch.end <= from) throw new Error('no progress');
  }
  return runs;
}

t.test('segments of one block and one burst form one batch, in any order', (t) => {
  const order = fc.array(fc.nat(3), { minLength: 1, maxLength: 30 });
  const property = fc.property(order, fc.nat(30), (segments, before) => {
    const parts = segments.map((segment) => datagramOf(1, segment, { flags: segment & 1 }));
    const bytes = concat(new Uint8Array(before), ...parts);
    const batch = new SegmentBatch();
    if (!batch.read(geometry, bytes, before)) return false;
    const { block, generation, burst, flags, isTagged, count, end } = batch;
    const fields = [block, generation, burst, isTagged, count, end];
    const expected = [1, 1, 5, false, segments.length, bytes.length];
    return (
      JSON.stringify(fields) === JSON.stringify(expected) &&
      flags === (segments.some((segment) => (segment & 1) === 1) ? 1 : 0) &&
      parts.every((part, i) => Buffer.compare(batch.datagram(i), part) === 0)
    );
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('each datagram of a batch is read as if it had arrived alone', (t) => {
  const batch = new SegmentBatch();
  for (const [block, segments] of [
    [1, [0, 1, 2, 3]],
    [0, [0, 1]],
    [geometry.blockCount - 1, [0, 0]],
  ] as const) {
    for (const isTagged of [false, true]) {
      for (const count of [1, segments.length]) {
        const parts = segments.slice(0, count).map((s) => datagramOf(block, s, { isTagged }));
        const bytes = concat(...parts);
        let place = 0;
        for (let from = 0; from < bytes.length; from = batch.end) {
          t.equal(batch.read(geometry, bytes, from), true);
          for (let i = 0; i < batch.count; i++) {
            const alone = decodeSession(parts[place++] as Uint8Array) as BlockPacket;
            t.equal(batch.segment(i), alone.segment);
            t.same(
              [batch.header(i), batch.body(i), batch.tag(i)],
              [alone.header, alone.body, alone.tag],
            );
            t.equal(batch.body(i).buffer, bytes.buffer, 'nothing is copied');
          }
        }
        t.equal(place, count);
      }
    }
  }
  t.end();
});

t.test('a batch ends where something else begins', (t) => {
  const one = datagramOf(1, 0);
  for (const [what, other] of Object.entries({
    block: datagramOf(2, 1),
    generation: datagramOf(1, 1, { generation: 2 }),
    burst: datagramOf(1, 1, { burst: 6 }),
    session: datagramOf(1, 1, { session: 10 }),
    tag: datagramOf(1, 1, { isTagged: true }),
  })) {
    t.same(runsOf(concat(one, other, one)), [[0], [1], [0]], what);
  }
  const batch = new SegmentBatch();
  for (const next of [
    concat(encodeProbeHeader(9), new Uint8Array(16)),
    new Uint8Array(100),
    new Uint8Array(1),
    one.subarray(0, 16),
  ]) {
    t.equal(batch.read(geometry, concat(one, one, next), 0), true);
    t.same([batch.count, batch.end], [2, 160]);
  }
  t.end();
});

t.test('a shorter segment ends its batch', (t) => {
  const last = geometry.blockCount - 1;
  const segmentCount = segmentCountOfBlock(geometry, last);
  const short = datagramOf(last, segmentCount - 1);
  const full = datagramOf(last, 0);
  t.ok(short.length < full.length);
  const whole = Array.from({ length: segmentCount }, (_, segment) => datagramOf(last, segment));
  t.equal(runsOf(concat(...whole)).length, 1);
  t.same(runsOf(concat(full, short, full, short, short)), [
    [0, segmentCount - 1],
    [0, segmentCount - 1],
    [segmentCount - 1],
  ]);
  t.end();
});

t.test('a tagged datagram is a batch of its own', (t) => {
  const parts = [0, 1, 2].map((segment) => datagramOf(1, segment, { isTagged: true }));
  t.same(runsOf(concat(...parts)), [[0], [1], [2]]);
  const batch = new SegmentBatch();
  t.equal(batch.read(geometry, concat(...parts), 96), true);
  t.equal(batch.isTagged, true);
  t.end();
});

t.test('what cannot belong to this session is no batch, and takes the rest of the piece', (t) => {
  const good = datagramOf(1, 0);
  for (const [what, bad] of Object.entries({
    'an out-of-range block': datagramOf(geometry.blockCount, 0),
    'a far out-of-range block': datagramOf(2 ** 32 - 1, 0),
    'an out-of-range segment': datagramOf(1, 4),
    'parity, for a later version': datagramOf(1, 64),
    'the largest segment number': datagramOf(1, 255),
  })) {
    t.same(runsOf(bad), [`${bad.length} bytes`], what);
    const left = bad.length + good.length;
    t.same(runsOf(concat(good, bad, good)), [[0], `${left} bytes`], what);
  }
  t.end();
});

t.test('a truncated datagram is no batch; those before it are', (t) => {
  for (const isTagged of [false, true]) {
    const one = datagramOf(1, 0, { isTagged });
    const bytes = concat(one, datagramOf(1, 1, { isTagged }));
    for (let end = 17; end < one.length; end++) {
      t.same(runsOf(bytes.subarray(0, end)), [`${end} bytes`]);
    }
    for (let more = 17; more < one.length; more++) {
      t.same(runsOf(bytes.subarray(0, one.length + more)), [[0], `${more} bytes`]);
    }
  }
  t.end();
});

t.test('an oversized datagram is read up to its size, and the rest separately', (t) => {
  t.same(runsOf(datagramOf(1, 0, { bodyBytes: 90 })), [[0], '26 bytes']);
  t.end();
});

t.test('any bytes: the batch stays within them and always advances', (t) => {
  const batch = new SegmentBatch();
  const any = fc.array(
    fc.oneof(
      fc.record({ block: fc.nat(4), segment: fc.nat(5), isTagged: fc.boolean() }),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
    ),
    { minLength: 1, maxLength: 12 },
  );
  const property = fc.property(any, fc.nat(200), (parts, cutBytes) => {
    const all = parts.map((part) =>
      part instanceof Uint8Array ? part : datagramOf(part.block, part.segment, part),
    );
    const joined = concat(datagramOf(1, 0), ...all);
    const bytes = joined.subarray(0, Math.max(17, joined.length - cutBytes));
    // It is only called for what looks like data, so after a whole header.
    for (let from = 0; bytes.length - from > 16; from = batch.end) {
      const isRun = batch.read(geometry, bytes, from);
      if (batch.end <= from || batch.end > bytes.length || batch.count < 1) return false;
      if (!isRun)
        return batch.end === bytes.length && batch.datagram(0).length === batch.end - from;
      let end = from;
      for (let i = 0; i < batch.count; i++) {
        const { length } = batch.datagram(i);
        if (batch.header(i).length + batch.body(i).length + batch.tag(i).length !== length)
          return false;
        if (batch.body(i).length !== sizeOfSegment(geometry, batch.block, batch.segment(i)))
          return false;
        end += length;
      }
      if (end !== batch.end) return false;
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 2000 });
  t.end();
});
