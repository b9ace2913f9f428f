/** Reassembles blocks from segments in any order, despite forgeries and full memory. */
import * as fc from 'fast-check';
import t from 'tap';
import type { SessionGeometry } from '../../src/object/geometry.js';
import {
  createSessionGeometry,
  segmentCountOfBlock,
  sizeOfBlock,
} from '../../src/object/geometry.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { MemoryBudget } from '../../src/transfer/partial-block.js';
import { Reassembler } from '../../src/transfer/reassembler.js';
import { SegmentBatch } from '../../src/transfer/segment-batch.js';
import { writeBlockHeader } from '../../src/wire/header.js';
import { tagSizeBytes } from '../../src/wire/sizes.js';

const seal = new BlockSeal(createSimulatedCrypto('reassembler', 'one'), new Uint8Array(32));
const staleMs = 1000;
/** The manifest has one block. The content has three, the last of them short. */
const small = createSessionGeometry(100, 700, 64, 240) as SessionGeometry;
const sealedSizeBytes = (block: number) => sizeOfBlock(small, block) + tagSizeBytes;

function createReassembler(geometry = small, budget = new MemoryBudget(2 ** 20)) {
  const reassembler = new Reassembler(geometry, seal, budget, staleMs);
  reassembler.missing.add(0, geometry.blockCount);
  return { reassembler, budget };
}

/** The content differs for each block and each generation. */
function plaintextOf(geometry: SessionGeometry, block: number, generation: number): Uint8Array {
  const bytes = new Uint8Array(sizeOfBlock(geometry, block));
  return bytes.map((_, i) => i * 7 + block * 31 + generation * 101);
}

interface Details {
  readonly geometry?: SessionGeometry;
  readonly generation?: number;
  readonly burst?: number;
  readonly isTagged?: boolean;
  readonly isForged?: boolean;
}

function datagramOf(block: number, segment: number, details: Details = {}): Uint8Array {
  const { geometry = small, generation = 1, burst = 0 } = details;
  const { isTagged = false, isForged = false } = details;
  const sealed = seal.seal(block, generation, plaintextOf(geometry, block, generation));
  const { mssBytes } = geometry;
  const body = sealed.slice(segment * mssBytes, (segment + 1) * mssBytes);
  if (isForged) body[0] = (body[0] as number) ^ 1;
  const bytes = new Uint8Array(16 + body.length + (isTagged ? tagSizeBytes : 0));
  writeBlockHeader(bytes, 0, isTagged, { session: 9, generation, block, segment, flags: 0, burst });
  bytes.set(body, 16);
  if (isTagged) bytes.set(seal.tag(bytes.subarray(0, 16), body), 16 + body.length);
  return bytes;
}

/** Datagrams that arrived together. */
function batchOf(datagrams: readonly Uint8Array[], geometry = small): SegmentBatch {
  const batch = new SegmentBatch();
  if (!batch.read(geometry, Buffer.concat(datagrams), 0)) throw new Error('not a batch');
  return batch;
}

/** A datagram that arrived alone. */
function packetOf(block: number, segment: number, details: Details = {}): SegmentBatch {
  return batchOf([datagramOf(block, segment, details)], details.geometry);
}

/** @returns the block's content if this completes it; or the fault */
function take(reassembler: Reassembler, nowMs: number, batch: SegmentBatch) {
  const { content, fault } = reassembler.take(nowMs, batch);
  return content ?? fault;
}

function takeAll(reassembler: Reassembler, nowMs: number, block: number, details: Details = {}) {
  const count = segmentCountOfBlock(details.geometry ?? small, block);
  let outcome: ReturnType<typeof take>;
  for (let i = 0; i < count; i++) outcome = take(reassembler, nowMs, packetOf(block, i, details));
  return outcome;
}

t.test('segments in any order, with any duplicates, make up the blocks that were sent', (t) => {
  const geometry = createSessionGeometry(100, 9000, 64, 64 * 64 - 16) as SessionGeometry;
  const all = Array.from({ length: geometry.blockCount }, (_, block) =>
    Array.from({ length: segmentCountOfBlock(geometry, block) }, (_, segment) => ({
      block,
      segment,
    })),
  ).flat();
  const packets = all.map(({ block, segment }) => packetOf(block, segment, { geometry }));
  const order = fc
    .tuple(
      fc.shuffledSubarray([...packets.keys()], { minLength: packets.length }),
      fc.array(fc.tuple(fc.nat(packets.length), fc.nat(packets.length - 1)), { maxLength: 60 }),
    )
    .map(([places, extra]) => {
      const order = [...places];
      for (const [at, place] of extra) order.splice(at, 0, place);
      return order;
    });
  const property = fc.property(order, (order) => {
    const { reassembler, budget } = createReassembler(geometry);
    const seen = new Set<number>();
    const left = Array.from({ length: geometry.blockCount }, (_, block) =>
      segmentCountOfBlock(geometry, block),
    );
    let duplicates = 0;
    for (const place of order) {
      const packet = packets[place] as SegmentBatch;
      if (!reassembler.isOfSession(packet)) return false;
      const outcome = take(reassembler, 0, packet);
      if (seen.has(place)) {
        duplicates++;
        if (outcome !== 'duplicate') return false;
        continue;
      }
      seen.add(place);
      const missing = --(left[packet.block] as number);
      if (reassembler.missing.has(packet.block) !== missing > 0) return false;
      if (missing > 0 && outcome !== undefined) return false;
      if (missing === 0) {
        const expected = plaintextOf(geometry, packet.block, 1);
        if (!(outcome instanceof Uint8Array)) return false;
        if (Buffer.compare(outcome, expected) !== 0) return false;
      }
    }
    return (
      reassembler.missing.isEmpty &&
      reassembler.duplicates === duplicates &&
      reassembler.datagramsReceived === order.length &&
      budget.usedBytes === 0
    );
  });
  fc.assert(property, { seed: 1, numRuns: 50 });
  t.end();
});

t.test('the list names exactly the missing segments', (t) => {
  const geometry = createSessionGeometry(0, 64 * 64 * 2, 64, 64 * 64 - 16) as SessionGeometry;
  const places = fc.uniqueArray(fc.tuple(fc.nat(1), fc.nat(63)), {
    selector: ([block, segment]) => block * 64 + segment,
    maxLength: 100,
  });
  const property = fc.property(places, (places) => {
    const { reassembler } = createReassembler(geometry);
    const have = new Set<number>();
    for (const [block, segment] of places) {
      take(reassembler, 0, packetOf(block, segment, { geometry }));
      have.add(block * 64 + segment);
    }
    const { gaps, describedBlocks } = reassembler.list(0, geometry.blockCount, () => false);
    const listed = new Set<number>();
    for (const gap of gaps) {
      const count = gap.kind === 'whole' ? gap.blockCount : 1;
      for (let i = 0; i < 64 * count; i++) {
        const block = gap.firstBlock + Math.floor(i / 64);
        if (i % 64 >= segmentCountOfBlock(geometry, block)) continue;
        const isListed = gap.kind === 'whole' || gap.segments.has(i);
        if (isListed) listed.add(64 * gap.firstBlock + i);
      }
    }
    if (describedBlocks !== geometry.blockCount) return false;
    for (let block = 0; block < geometry.blockCount; block++) {
      for (let i = 0; i < segmentCountOfBlock(geometry, block); i++) {
        if (listed.has(block * 64 + i) === have.has(block * 64 + i)) return false;
      }
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 100 });
  t.end();
});

t.test('tags are checked, even before they are required', (t) => {
  const { reassembler } = createReassembler();
  const tagged = datagramOf(1, 0, { isTagged: true });
  t.equal(reassembler.isOfSession(batchOf([tagged])), true);
  for (const [what, place] of [
    ['header', 15],
    ['body', 16],
    ['body', 79],
    ...Array.from({ length: tagSizeBytes }, (_, i) => ['tag', 80 + i]),
  ] as [string, number][]) {
    const changed = tagged.slice();
    changed[place] = (changed[place] as number) ^ 0x80;
    t.equal(reassembler.isOfSession(batchOf([changed])), false, `byte ${place}: ${what}`);
  }
  t.equal(reassembler.wantsTags, false, 'a single forged datagram does no harm');
  t.end();
});

t.test('segments that arrive together are handled as if each arrived alone', (t) => {
  const geometry = createSessionGeometry(0, 64 * 64 * 2, 64, 64 * 64 - 16) as SessionGeometry;
  const piece = fc.record({
    block: fc.nat(1),
    segments: fc.array(fc.nat(62), { minLength: 1, maxLength: 30 }),
    generation: fc.integer({ min: 1, max: 2 }),
    burst: fc.nat(3),
    isListed: fc.boolean(),
  });
  const property = fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
    const [joined, single] = [createReassembler(geometry), createReassembler(geometry)];
    for (const { block, segments, isListed, ...more } of pieces) {
      const details = { ...more, geometry };
      const datagrams = segments.map((segment) => datagramOf(block, segment, details));
      const { newCount, content, fault, faultCount } = joined.reassembler.take(
        0,
        batchOf(datagrams, geometry),
      );
      const alone = datagrams.map((bytes) =>
        single.reassembler.take(0, batchOf([bytes], geometry)),
      );
      if (newCount !== alone.reduce((sum, { newCount }) => sum + newCount, 0)) return false;
      const repeated = alone.filter(({ fault }) => fault === 'duplicate').length;
      if (content === undefined && repeated !== (fault === 'duplicate' ? faultCount : 0)) {
        return false;
      }
      const opened = alone.find(({ content }) => content !== undefined)?.content;
      if ((content === undefined) !== (opened === undefined)) return false;
      if (Buffer.compare(content ?? Buffer.of(), opened ?? Buffer.of()) !== 0) return false;
      const states = [joined, single].map(({ reassembler, budget }) => {
        const { datagramsReceived, duplicates, segmentsLost, wantsTags } = reassembler;
        const isCovered = (_path: number, burst: number) => isListed && burst <= more.burst;
        const { gaps } = reassembler.list(0, geometry.blockCount, isCovered);
        const { usedBytes } = budget;
        return { datagramsReceived, duplicates, segmentsLost, wantsTags, gaps, usedBytes };
      });
      if (JSON.stringify(states[0]) !== JSON.stringify(states[1])) return false;
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a batch that completes its block may contain more of it', (t) => {
  const { reassembler } = createReassembler();
  const datagrams = [0, 1, 1, 2, 3, 0].map((segment) => datagramOf(1, segment));
  const { newCount, content } = reassembler.take(0, batchOf(datagrams));
  t.equal(newCount, 4);
  t.same(content, plaintextOf(small, 1, 1));
  t.equal(reassembler.duplicates, 2);
  t.equal(reassembler.datagramsReceived, 6);
  t.same(reassembler.take(0, batchOf(datagrams)), {
    newCount: 0,
    fault: 'duplicate',
    faultCount: 6,
  });
  t.end();
});

t.test('after one forged block, datagrams without a tag are rejected', (t) => {
  const { reassembler, budget } = createReassembler();
  take(reassembler, 0, packetOf(1, 2, { isForged: true }));
  for (const segment of [0, 1]) t.equal(take(reassembler, 0, packetOf(1, segment)), undefined);
  t.equal(reassembler.wantsTags, false);
  t.equal(take(reassembler, 0, packetOf(1, 3)), 'forged-data');
  t.equal(reassembler.wantsTags, true);
  t.equal(budget.usedBytes, 0, 'nothing of it is kept');
  t.ok(reassembler.missing.has(1));
  t.match(reassembler.list(1, 2, () => true).gaps, [
    { kind: 'whole', firstBlock: 1, blockCount: 1 },
  ]);
  t.equal(reassembler.isOfSession(packetOf(1, 0)), false);
  t.equal(reassembler.isOfSession(packetOf(1, 0, { isTagged: true })), true);
  t.same(takeAll(reassembler, 0, 1, { isTagged: true }), plaintextOf(small, 1, 1));
  t.end();
});

t.test('a new generation restarts the block, and their bytes are not mixed', (t) => {
  const { reassembler, budget } = createReassembler();
  for (const segment of [0, 1, 2]) take(reassembler, 0, packetOf(1, segment));
  t.equal(
    take(reassembler, 0, packetOf(1, 3, { generation: 2 })),
    undefined,
    'not after the fourth of four',
  );
  t.equal(budget.usedBytes, sealedSizeBytes(1));
  t.equal(take(reassembler, 0, packetOf(1, 0, { generation: 2 })), undefined);
  t.equal(take(reassembler, 0, packetOf(1, 1, { generation: 2 })), undefined);
  t.same(take(reassembler, 0, packetOf(1, 2, { generation: 2 })), plaintextOf(small, 1, 2));
  t.equal(reassembler.wantsTags, false, 'a sender may return to a block');
  t.end();
});

t.test('repeated generation conflicts make tags required', (t) => {
  const { reassembler } = createReassembler();
  let clashes = -1;
  while (!reassembler.wantsTags && clashes < 100) {
    take(reassembler, 0, packetOf(1, 0, { generation: 1 + ((clashes + 1) % 2) }));
    clashes++;
  }
  t.equal(clashes, 8);
  t.end();
});

t.test('a new generation of blocks that have not begun is no conflict', (t) => {
  const geometry = createSessionGeometry(0, 64 * 200, 64, 112) as SessionGeometry;
  const { reassembler } = createReassembler(geometry);
  for (let block = 0; block < geometry.blockCount; block++) {
    takeAll(reassembler, 0, block, { geometry, generation: 1 + (block % 2) });
  }
  t.ok(reassembler.missing.isEmpty);
  t.equal(reassembler.wantsTags, false);
  t.end();
});

t.test('when memory is full no block is begun, and those begun continue', (t) => {
  const budget = new MemoryBudget(sealedSizeBytes(1) + 1);
  const { reassembler } = createReassembler(small, budget);
  t.equal(take(reassembler, 0, packetOf(1, 0)), undefined);
  t.equal(take(reassembler, 0, packetOf(2, 0)), undefined, 'not full yet');
  t.ok(budget.isExhausted);
  t.equal(take(reassembler, 0, packetOf(3, 0)), 'no-room');
  t.ok(reassembler.missing.has(3));
  for (const segment of [1, 2]) t.equal(take(reassembler, 0, packetOf(1, segment)), undefined);
  t.same(take(reassembler, 0, packetOf(1, 3)), plaintextOf(small, 1, 1));
  t.equal(budget.usedBytes, sealedSizeBytes(2));
  t.equal(take(reassembler, 0, packetOf(3, 0)), undefined, 'there is room again');
  t.end();
});

t.test('a block that has made no progress for a while is evicted; one that grows is not', (t) => {
  const budget = new MemoryBudget(sealedSizeBytes(1) + 1);
  const { reassembler } = createReassembler(small, budget);
  take(reassembler, 0, packetOf(1, 0));
  take(reassembler, 0, packetOf(2, 0));
  take(reassembler, 1, packetOf(2, 1));
  t.equal(take(reassembler, staleMs - 1, packetOf(3, 0)), 'no-room');
  t.equal(take(reassembler, staleMs, packetOf(3, 0)), undefined);
  t.equal(budget.usedBytes, sealedSizeBytes(2) + sealedSizeBytes(3));
  t.ok(reassembler.missing.has(1), 'the whole block is missing again');
  const { gaps } = reassembler.list(0, 4, () => false);
  t.match(
    gaps.map((gap) => (gap.kind === 'part' ? { ...gap, segments: [...gap.segments] } : gap)),
    [
      { kind: 'whole', firstBlock: 0, blockCount: 2 },
      { kind: 'part', firstBlock: 2, segments: [2, 3] },
      { kind: 'part', firstBlock: 3 },
    ],
    'nothing of the others is lost',
  );
  t.end();
});

t.test('when others fill the memory, one block at a time still has room', (t) => {
  const budget = new MemoryBudget(1000);
  budget.usedBytes = 1000;
  const { reassembler } = createReassembler(small, budget);
  t.equal(take(reassembler, 0, packetOf(1, 0)), undefined);
  t.equal(take(reassembler, 0, packetOf(2, 0)), 'no-room');
  for (const segment of [1, 2]) take(reassembler, 0, packetOf(1, segment));
  const content = take(reassembler, 0, packetOf(1, 3)) as Uint8Array;
  t.same(content, plaintextOf(small, 1, 1));
  reassembler.unwrittenBytes = content.length;
  t.equal(take(reassembler, 0, packetOf(2, 0)), 'no-room', 'until it is written');
  reassembler.unwrittenBytes = 0;
  t.equal(take(reassembler, 0, packetOf(2, 0)), undefined);
  reassembler.close();
  t.equal(budget.usedBytes, 1000, 'it releases exactly what it took');
  t.end();
});

t.test('after any history, the counted memory is that of the partial blocks', (t) => {
  const step = fc.record({
    block: fc.nat(3),
    segment: fc.nat(3),
    generation: fc.integer({ min: 1, max: 2 }),
    waitMs: fc.constantFrom(0, 1, 600),
    isForged: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const budget = new MemoryBudget(500);
    const { reassembler } = createReassembler(small, budget);
    let nowMs = 0;
    for (const { block, segment, waitMs, ...details } of steps) {
      nowMs += waitMs;
      if (segment >= segmentCountOfBlock(small, block)) continue;
      take(reassembler, nowMs, packetOf(block, segment, details));
      let begunBytes = 0;
      for (const gap of reassembler.list(0, small.blockCount, () => false).gaps) {
        if (gap.kind === 'part') begunBytes += sealedSizeBytes(gap.firstBlock);
      }
      if (budget.usedBytes !== begunBytes) return false;
      // A block is begun only below the limit, and may then exceed it.
      if (budget.usedBytes >= budget.limitBytes + sealedSizeBytes(1)) return false;
    }
    reassembler.close();
    return budget.usedBytes === 0;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('segments that arrive after a report listed them as lost count as lost', (t) => {
  const { reassembler } = createReassembler();
  take(reassembler, 0, packetOf(1, 0, { burst: 5 }));
  take(reassembler, 0, packetOf(1, 3, { burst: 5 }));
  reassembler.list(0, 4, (_path, burst) => burst < 5);
  take(reassembler, 0, packetOf(1, 1, { burst: 5 }));
  t.equal(reassembler.segmentsLost, 0, 'its burst was not over');
  reassembler.list(0, 4, (_path, burst) => burst <= 5);
  take(reassembler, 0, packetOf(1, 2, { burst: 6 }));
  t.equal(reassembler.segmentsLost, 1);
  t.end();
});

t.test('what of a block has not been sent yet is not lost', (t) => {
  const { reassembler } = createReassembler();
  const isCovered = () => true;
  for (const segment of [0, 1, 2, 3]) {
    reassembler.take(0, packetOf(1, segment, { burst: segment }));
    reassembler.list(0, 4, isCovered);
  }
  t.equal(reassembler.segmentsLost, 0, 'its bursts are over, but not its round');
  reassembler.take(0, packetOf(2, 0));
  reassembler.take(0, packetOf(2, 2));
  reassembler.list(0, 4, isCovered);
  reassembler.take(0, packetOf(2, 3));
  t.equal(reassembler.segmentsLost, 0);
  reassembler.take(0, packetOf(2, 1));
  t.equal(
    reassembler.segmentsLost,
    1,
    'segments missing before the last one that arrived are lost',
  );
  t.end();
});

t.test('a block that arrives after a later one of its pass was lost as a whole', (t) => {
  const { reassembler } = createReassembler();
  takeAll(reassembler, 0, 1);
  takeAll(reassembler, 0, 3);
  takeAll(reassembler, 0, 2);
  t.equal(reassembler.segmentsLost, segmentCountOfBlock(small, 2));
  t.end();
});

t.test('a late receiver does not count what another pass brings as lost', (t) => {
  const { reassembler } = createReassembler();
  for (const block of [2, 3, 0, 1]) takeAll(reassembler, 0, block);
  t.equal(reassembler.segmentsLost, 0);
  t.end();
});

t.test('a bad block that is sent again was not lost', (t) => {
  const { reassembler } = createReassembler();
  for (const block of [0, 1, 2, 3]) takeAll(reassembler, 0, block);
  for (const block of [2, 1]) {
    reassembler.markMissing(block);
    takeAll(reassembler, 0, block);
  }
  t.equal(reassembler.segmentsLost, 0);
  t.end();
});

t.test('what of a bad block has not been sent again yet is not lost', (t) => {
  const { reassembler } = createReassembler();
  const isCovered = () => true;
  for (const block of [0, 1, 2, 3]) takeAll(reassembler, 0, block);
  reassembler.markMissing(1);
  for (const segment of [0, 1, 3]) {
    reassembler.take(0, packetOf(1, segment, { burst: segment }));
    reassembler.list(0, 4, isCovered);
  }
  t.equal(reassembler.segmentsLost, 0, 'its bursts are over, but it is still being sent');
  takeAll(reassembler, 0, 1);
  t.equal(reassembler.segmentsLost, 1, 'segment 2 was lost');
  t.end();
});

t.test('the end of a bad block that is sent in turn is lost if a later block arrives', (t) => {
  const { reassembler } = createReassembler();
  reassembler.markMissing(1);
  reassembler.take(0, packetOf(1, 0));
  takeAll(reassembler, 0, 2);
  reassembler.list(0, 4, () => true);
  takeAll(reassembler, 0, 1);
  t.equal(reassembler.segmentsLost, segmentCountOfBlock(small, 1) - 1);
  t.end();
});

t.test('a block that found no room was not lost', (t) => {
  const { reassembler, budget } = createReassembler();
  takeAll(reassembler, 0, 0);
  reassembler.take(0, packetOf(1, 0));
  budget.usedBytes += 2 ** 20;
  t.equal(take(reassembler, 0, packetOf(2, 0)), 'no-room');
  budget.usedBytes -= 2 ** 20;
  takeAll(reassembler, 0, 3);
  takeAll(reassembler, 0, 2);
  t.equal(reassembler.segmentsLost, 0);
  t.end();
});

t.test('a reused buffer keeps nothing of its last block', (t) => {
  const { reassembler } = createReassembler();
  t.same(takeAll(reassembler, 0, 1), plaintextOf(small, 1, 1));
  t.same(takeAll(reassembler, 0, 3), plaintextOf(small, 3, 1), 'a smaller block');
  t.same(takeAll(reassembler, 0, 2), plaintextOf(small, 2, 1), 'a larger block');
  t.end();
});
