/** Blocks as they are sent: each datagram of a batch can be received by itself. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Transmit } from '../../src/base/machine.js';
import { datagramsOf } from '../../src/base/machine.js';
import { SegmentSet } from '../../src/base/segment-set.js';
import type { SessionGeometry } from '../../src/object/geometry.js';
import {
  createSessionGeometry,
  segmentCountOfBlock,
  sizeOfBlock,
  sizeOfSegment,
} from '../../src/object/geometry.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { BatchEncoder } from '../../src/transfer/batch.js';
import { SessionBlock } from '../../src/transfer/sealed-block.js';
import { SegmentBatch } from '../../src/transfer/segment-batch.js';
import type { BlockPacket } from '../../src/wire/header.js';
import { decodeSession } from '../../src/wire/header.js';

const session = 0x89abcdef;
const to = { address: { host: '192.0.2.1', port: 7735 }, number: 0 };
const seal = new BlockSeal(createSimulatedCrypto('batch', 'sender'), new Uint8Array(32));

/** The manifest has one block. The content has three, the last of them short. */
const small = createSessionGeometry(100, 700, 64, 240) as SessionGeometry;

const createEncoder = (geometry = small) => new BatchEncoder(session, geometry, seal);

function plaintextOf(geometry: SessionGeometry, index: number): Uint8Array {
  return new Uint8Array(sizeOfBlock(geometry, index)).map((_, i) => i * 7 + index * 31 + (i >> 8));
}

/** Loads the block with this index into the encoder. */
function load(encoder: BatchEncoder, index: number, geometry = small, generation = 1) {
  const block = new SessionBlock(128);
  block.reset(index, 0, segmentCountOfBlock(geometry, index));
  block.generation = generation;
  encoder.load(block, plaintextOf(geometry, index));
  return block;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

function packetsOf(transmit: Transmit): BlockPacket[] {
  return [...datagramsOf(transmit)].map((bytes) => {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string' || !('block' in packet))
      throw new Error(`${packet} is not data`);
    return packet;
  });
}

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Lists the faults of a batch's datagrams. */
function faultsOf(
  geometry: SessionGeometry,
  block: SessionBlock,
  transmit: Transmit,
  spec: {
    readonly segments: readonly number[];
    readonly burst: number;
    readonly isTagged: boolean;
  },
): string[] {
  const { segments, burst, isTagged } = spec;
  const { index, generation } = block;
  const sealed = seal.seal(index, generation, plaintextOf(geometry, index));
  const { mssBytes } = geometry;
  const packets = packetsOf(transmit);
  const faults: string[] = [];
  if (transmit.to !== to.address) faults.push('wrong destination');
  const actual = packets.map(({ segment }) => segment);
  if (`${actual}` !== `${segments}`) faults.push(`segments ${actual}, expected ${segments}`);
  packets.forEach((packet, i) => {
    const { segment } = packet;
    const isLast = i === packets.length - 1;
    const fields = `${packet.kind} ${packet.session} ${packet.generation} ${packet.block}`;
    const expected = `${isTagged ? 'tagged-data' : 'data'} ${session} ${generation} ${index}`;
    if (fields !== expected) faults.push(`${fields}, expected ${expected}`);
    if (packet.burst !== burst) faults.push(`burst ${packet.burst}, expected ${burst}`);
    if (packet.flags !== (isLast ? 1 : 0)) faults.push(`flags ${packet.flags} of ${i}`);
    const body = sealed.subarray(segment * mssBytes, (segment + 1) * mssBytes);
    if (Buffer.compare(packet.body, body) !== 0) faults.push(`body of ${segment}`);
    if (isTagged && !seal.hasTag(packet.header, packet.body, packet.tag)) faults.push('tag');
  });
  const sizes = [...datagramsOf(transmit)].map(({ length }) => length);
  const step = 16 + mssBytes + (isTagged ? 16 : 0);
  if (transmit.datagramSizeBytes !== step) faults.push(`steps of ${transmit.datagramSizeBytes}`);
  if (sizes.slice(0, -1).some((size) => size !== step)) faults.push(`sizes ${sizes}`);
  return faults;
}

t.test('a whole block is sent from its memory, and so is a part of it', (t) => {
  const encoder = createEncoder();
  const block = load(encoder, 1);
  const check = (segments: number[], burst: number) => {
    const transmit = encoder.encode(to, block, SegmentSet.of(segments), burst);
    t.same(faultsOf(small, block, transmit, { segments, burst, isTagged: false }), []);
    return transmit;
  };
  t.equal(check([0, 1, 2, 3], 5).bytes.length, 4 * 80);
  t.equal(check([0, 1, 2, 3], 6).bytes.length, 4 * 80);
  t.equal(check([1, 3], 0xffff).bytes.length, 2 * 80);
  t.equal(check([0], 7).bytes.length, 80);
  t.equal(encoder.framingSizeBytes, 16);
  t.end();
});

t.test('the last block is shorter, and so is its last datagram', (t) => {
  const encoder = createEncoder();
  const last = small.blockCount - 1;
  const block = load(encoder, last);
  const sealedBytes = sizeOfBlock(small, last) + 16;
  const count = segmentCountOfBlock(small, last);
  t.not(sealedBytes % 64, 0);
  for (const segments of [range(count), [0, count - 1], [count - 1], [0]]) {
    const spec = { segments, burst: 3 };
    const transmit = encoder.encode(to, block, SegmentSet.of(segments), spec.burst);
    t.same(faultsOf(small, block, transmit, { ...spec, isTagged: false }), [], `${segments}`);
  }
  const whole = encoder.encode(to, block, SegmentSet.of(range(count)), 3);
  t.equal(whole.bytes.length, count * 16 + sealedBytes);
  t.end();
});

t.test('with tags, each datagram carries its own', (t) => {
  const encoder = createEncoder();
  const block = load(encoder, 1);
  encoder.usesTags = true;
  t.equal(encoder.framingSizeBytes, 32);
  for (const segments of [[0, 1, 2, 3], [1, 2], [3]]) {
    const spec = { segments, burst: 3 };
    const transmit = encoder.encode(to, block, SegmentSet.of(segments), spec.burst);
    t.same(faultsOf(small, block, transmit, { ...spec, isTagged: true }), [], `${segments}`);
    t.equal(transmit.bytes.length, segments.length * 96);
  }
  encoder.usesTags = false;
  const spec = { segments: range(4), burst: 4 };
  const transmit = encoder.encode(to, block, SegmentSet.of(range(4)), spec.burst);
  t.same(faultsOf(small, block, transmit, { ...spec, isTagged: false }), [], 'no tag remains');
  t.end();
});

/** Geometries of all kinds, with a few blocks each. */
const geometries = fc
  .record({
    mssBytes: fc.oneof(fc.integer({ min: 64, max: 300 }), fc.integer({ min: 64, max: 9000 })),
    segmentsPerBlock: fc.oneof(
      fc.constantFrom(1, 2, 31, 32, 33, 64, 128),
      fc.integer({ min: 1, max: 128 }),
    ),
    manifestShare: fc.double({ min: 0.01, max: 1.5, noNaN: true }),
    contentShare: fc.double({ min: 0, max: 2.5, noNaN: true }),
  })
  .map(({ mssBytes, segmentsPerBlock, manifestShare, contentShare }) => {
    const blockBytes = mssBytes * segmentsPerBlock - 16;
    return createSessionGeometry(
      Math.ceil(blockBytes * manifestShare),
      Math.round(blockBytes * contentShare),
      mssBytes,
      blockBytes,
    ) as SessionGeometry;
  });

const sendings = fc.array(
  fc.record({
    /** Indexes among the block's segments; empty for all of them. */
    places: fc.uniqueArray(fc.nat(127), { maxLength: 128 }),
    burst: fc.nat(0xffff),
    isTagged: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

t.test('any part of any block, sent in any order, is encoded as requested', (t) => {
  const blocks = fc.array(fc.record({ index: fc.nat(), generation: fc.nat(255), sendings }), {
    minLength: 1,
    maxLength: 4,
  });
  const property = fc.property(geometries, blocks, (geometry, blocks) => {
    const encoder = createEncoder(geometry);
    // The blocks use the same memory in turn.
    for (const { index: number, generation, sendings } of blocks) {
      const index = number % geometry.blockCount;
      const block = load(encoder, index, geometry, generation);
      const count = segmentCountOfBlock(geometry, index);
      for (const { places, burst, isTagged } of sendings) {
        const some = [...new Set(places.map((place) => place % count))].sort((a, b) => a - b);
        const segments = some.length === 0 ? range(count) : some;
        encoder.usesTags = isTagged;
        const spec = { segments, burst };
        const transmit = encoder.encode(to, block, SegmentSet.of(segments), spec.burst);
        const faults = faultsOf(geometry, block, transmit, { ...spec, isTagged });
        if (faults.length > 0) throw new Error(faults.join('; '));
      }
      encoder.unload(block);
    }
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a block that is sent in arbitrary parts opens as the original', (t) => {
  const property = fc.property(
    geometries,
    fc.nat(),
    fc.array(fc.boolean(), { minLength: 128, maxLength: 128 }),
    fc.boolean(),
    (geometry, number, isFirst, isTagged) => {
      const index = number % geometry.blockCount;
      const encoder = createEncoder(geometry);
      encoder.usesTags = isTagged;
      const block = load(encoder, index, geometry);
      const sealed = new Uint8Array(sizeOfBlock(geometry, index) + 16);
      for (const part of [true, false]) {
        const count = segmentCountOfBlock(geometry, index);
        const segments = range(count).filter((segment) => isFirst[segment] === part);
        if (segments.length === 0) continue;
        const transmit = encoder.encode(to, block, SegmentSet.of(segments), 1);
        // As the receiver reassembles it.
        const batch = new SegmentBatch();
        for (let from = 0; from < transmit.bytes.length; from = batch.end) {
          if (!batch.read(geometry, transmit.bytes, from)) return false;
          if (batch.block !== index || (!isTagged && batch.count !== segments.length)) return false;
          for (let i = 0; i < batch.count; i++) {
            sealed.set(batch.body(i), batch.segment(i) * geometry.mssBytes);
          }
        }
      }
      const opened = seal.open(index, 1, sealed) ?? new Uint8Array(0);
      return Buffer.compare(opened, plaintextOf(geometry, index)) === 0;
    },
  );
  fc.assert(property, { seed: 2, numRuns: 300 });
  t.end();
});

t.test('a resent block gets its own burst number, from the same memory', (t) => {
  const encoder = createEncoder();
  const block = load(encoder, 1);
  const whole = SegmentSet.of(range(4));
  const first = encoder.encode(to, block, whole, 1);
  const some = encoder.encode(to, block, SegmentSet.of([0, 2]), 1);
  const before = toHex(some.bytes);
  const second = encoder.encode(to, block, whole, 2);
  t.equal(first.bytes.buffer, second.bytes.buffer, 'nothing is copied');
  t.same(
    packetsOf(second).map(({ burst, flags }) => [burst, flags]),
    [0, 0, 0, 1].map((flags) => [2, flags]),
  );
  t.equal(toHex(some.bytes), before, 'the earlier part is unchanged');
  t.end();
});

t.test('reused memory does not show what it held before', (t) => {
  const encoder = createEncoder();
  const long = load(encoder, 1);
  const sent = encoder.encode(to, long, SegmentSet.of(range(4)), 9);
  encoder.unload(long);
  t.equal(long.wire, undefined);
  encoder.unload(long);
  const last = small.blockCount - 1;
  const short = load(encoder, last, small, 2);
  t.equal(short.wire?.buffer, sent.bytes.buffer);
  const segments = range(segmentCountOfBlock(small, last));
  const spec = { segments, burst: 10 };
  const transmit = encoder.encode(to, short, SegmentSet.of(segments), spec.burst);
  t.same(faultsOf(small, short, transmit, { ...spec, isTagged: false }), []);
  const other = load(encoder, 1);
  t.not(other.wire?.buffer, sent.bytes.buffer, 'one block at a time');
  const before = toHex(transmit.bytes);
  encoder.encode(to, other, SegmentSet.of(range(4)), 11);
  t.equal(toHex(transmit.bytes), before);
  t.end();
});

t.test('a block that is loaded again uses the same memory', (t) => {
  const encoder = createEncoder();
  const block = load(encoder, 1);
  const { wire } = block;
  block.generation = 2;
  encoder.load(block, plaintextOf(small, 1));
  t.equal(block.wire, wire);
  const spec = { segments: range(4), burst: 1 };
  const transmit = encoder.encode(to, block, SegmentSet.of(range(4)), spec.burst);
  t.same(faultsOf(small, block, transmit, { ...spec, isTagged: false }), []);
  t.end();
});

t.test('late datagrams from reused memory do no harm', (t) => {
  // A shell may keep a batch until every receiver has its block, or longer.
  const encoder = createEncoder();
  const first = load(encoder, 1);
  const late = encoder.encode(to, first, SegmentSet.of(range(4)), 1);
  encoder.unload(first);
  for (const next of [2, small.blockCount - 1]) {
    const block = load(encoder, next);
    for (const { block: index, segment, body } of packetsOf(late)) {
      // A receiver rejects a datagram whose size does not fit its segment.
      if (body.length !== sizeOfSegment(small, index, segment)) continue;
      const sealed = seal.seal(index, 1, plaintextOf(small, index));
      const expected = sealed.subarray(segment * 64, (segment + 1) * 64);
      t.equal(toHex(body), toHex(expected), `segment ${segment} of block ${index} is itself`);
    }
    encoder.unload(block);
  }
  t.end();
});

t.test('a copy of a block is sent by itself', (t) => {
  const encoder = createEncoder();
  const [block, other] = [load(encoder, 1), new SessionBlock(128)];
  other.reset(1, 0, segmentCountOfBlock(small, 1));
  other.generation = block.generation;
  encoder.copy(block, other);
  const segments = range(4);
  const sent = [block, other].map((each, burst) =>
    encoder.encode(to, each, SegmentSet.of(segments), burst),
  );
  [block, other].forEach((each, burst) => {
    const spec = { segments, burst, isTagged: false };
    t.same(faultsOf(small, each, sent[burst] as Transmit, spec), []);
  });
  encoder.unload(block);
  const before = toHex((sent[1] as Transmit).bytes);
  load(encoder, 2);
  t.equal(
    toHex((sent[1] as Transmit).bytes),
    before,
    'the copy remains when the original is released',
  );
  t.end();
});

t.test('misuse is an internal error: only a loaded block can be sent', (t) => {
  const encoder = createEncoder();
  const block = load(encoder, 1);
  encoder.unload(block);
  for (const segments of [range(4), [1]]) {
    t.throws(() => encoder.encode(to, block, SegmentSet.of(segments), 1), /internal error/);
  }
  t.end();
});

// --- What a shell does with a batch

t.test('the datagrams of a transmit are its bytes, split', (t) => {
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 200 }),
    fc.option(fc.integer({ min: 1, max: 250 }), { nil: undefined }),
    (bytes, datagramSizeBytes) => {
      const single = { to: to.address, bytes };
      const transmit = datagramSizeBytes === undefined ? single : { ...single, datagramSizeBytes };
      const datagrams = [...datagramsOf(transmit)];
      const sizes = datagrams.map(({ length }) => length);
      const size = datagramSizeBytes ?? bytes.length;
      return (
        Buffer.compare(Buffer.concat(datagrams), bytes) === 0 &&
        sizes.slice(0, -1).every((each) => each === size) &&
        (sizes.at(-1) as number) <= size &&
        sizes.every((each) => each > 0) &&
        datagrams.every(({ buffer }) => buffer === bytes.buffer)
      );
    },
  );
  fc.assert(property, { seed: 1, numRuns: 500 });
  const empty = [...datagramsOf({ to: to.address, bytes: new Uint8Array(0) })];
  t.same(
    empty.map(({ length }) => length),
    [0],
    'an empty datagram counts as one',
  );
  t.end();
});

t.test('whole blocks of all lengths', (t) => {
  // A whole block is recognized by the size of the set, so every size must be right.
  for (let count = 1; count <= 128; count++) {
    const geometry = createSessionGeometry(
      count * 64 - 16,
      0,
      64,
      128 * 64 - 16,
    ) as SessionGeometry;
    const encoder = createEncoder(geometry);
    const block = load(encoder, 0, geometry, 0);
    const transmit = encoder.encode(to, block, SegmentSet.of(range(count)), 1);
    const spec = { segments: range(count), burst: 1, isTagged: false };
    const faults = faultsOf(geometry, block, transmit, spec);
    if (faults.length > 0) t.fail(`${count} segments: ${faults.join('; ')}`);
  }
  t.end();
});
