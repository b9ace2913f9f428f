/** Blocks from segments in any order, and what a receiver makes of forgeries and of full memory. */
import * as fc from 'fast-check';
import t from 'tap';
import { MemoryBudget } from '../src/session/assembly.js';
import { BlockIntake } from '../src/session/block-intake.js';
import { BlockSeal } from '../src/session/block-seal.js';
import { tagSizeBytes } from '../src/session/crypto.js';
import type { SessionGeometry } from '../src/session/session-geometry.js';
import {
  createSessionGeometry,
  segmentCountOfBlock,
  sizeOfBlock,
} from '../src/session/session-geometry.js';
import type { BlockPacket } from '../src/session/session-packet.js';
import { decodeSession, writeBlockHeader } from '../src/session/session-packet.js';
import { createSimulatedCrypto } from '../src/simulator/session-crypto.js';

const seal = new BlockSeal(createSimulatedCrypto('block intake', 'one'), new Uint8Array(32));
const staleMs = 1000;
/** A manifest of one block; content of three, the last of them short. */
const small = createSessionGeometry(100, 700, 64, 4) as SessionGeometry;
const sealedSizeBytes = (block: number) => sizeOfBlock(small, block) + tagSizeBytes;

function createIntake(geometry = small, budget = new MemoryBudget(2 ** 20)) {
  const intake = new BlockIntake(geometry, seal, budget, staleMs);
  intake.lacking.add(0, geometry.blockCount);
  return { intake, budget };
}

/** What a block holds differs from block to block, and from generation to generation. */
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

function packetOf(block: number, segment: number, details: Details = {}): BlockPacket {
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
  return decodeSession(bytes) as BlockPacket;
}

function withBody(packet: BlockPacket, body: Uint8Array): BlockPacket {
  return { ...packet, body, bodySizeBytes: body.length };
}

function takeAll(intake: BlockIntake, nowMs: number, block: number, details: Details = {}) {
  const count = segmentCountOfBlock(details.geometry ?? small, block);
  let outcome: ReturnType<BlockIntake['take']>;
  for (let i = 0; i < count; i++) outcome = intake.take(nowMs, packetOf(block, i, details));
  return outcome;
}

t.test('segments in any order, with any duplicates, make up the blocks that were sent', (t) => {
  const geometry = createSessionGeometry(100, 9000, 64, 64) as SessionGeometry;
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
    const { intake, budget } = createIntake(geometry);
    const seen = new Set<number>();
    const left = Array.from({ length: geometry.blockCount }, (_, block) =>
      segmentCountOfBlock(geometry, block),
    );
    let duplicates = 0;
    for (const place of order) {
      const packet = packets[place] as BlockPacket;
      if (!intake.isOfSession(packet)) return false;
      const outcome = intake.take(0, packet);
      if (seen.has(place)) {
        duplicates++;
        if (outcome !== 'duplicate') return false;
        continue;
      }
      seen.add(place);
      const lacking = --(left[packet.block] as number);
      if (intake.lacking.has(packet.block) !== lacking > 0) return false;
      if (lacking > 0 && outcome !== undefined) return false;
      if (lacking === 0) {
        const expected = plaintextOf(geometry, packet.block, 1);
        if (!(outcome instanceof Uint8Array)) return false;
        if (Buffer.compare(outcome, expected) !== 0) return false;
      }
    }
    return (
      intake.lacking.isEmpty &&
      intake.duplicates === duplicates &&
      intake.datagramsReceived === order.length &&
      budget.usedBytes === 0
    );
  });
  fc.assert(property, { seed: 1, numRuns: 50 });
  t.end();
});

t.test('the list tells of exactly what has not come', (t) => {
  const geometry = createSessionGeometry(0, 64 * 64 * 2, 64, 64) as SessionGeometry;
  const places = fc.uniqueArray(fc.tuple(fc.nat(1), fc.nat(63)), {
    selector: ([block, segment]) => block * 64 + segment,
    maxLength: 100,
  });
  const property = fc.property(places, (places) => {
    const { intake } = createIntake(geometry);
    const have = new Set<number>();
    for (const [block, segment] of places) {
      intake.take(0, packetOf(block, segment, { geometry }));
      have.add(block * 64 + segment);
    }
    const { lacks, describedBlocks } = intake.list(0, geometry.blockCount, () => false);
    const listed = new Set<number>();
    for (const lack of lacks) {
      const count = lack.kind === 'whole' ? lack.blockCount : 1;
      for (let i = 0; i < 64 * count; i++) {
        const block = lack.firstBlock + Math.floor(i / 64);
        if (i % 64 >= segmentCountOfBlock(geometry, block)) continue;
        const half = lack.kind === 'whole' ? 0xffffffff : i < 32 ? lack.low : lack.high;
        if (((half >>> (i & 31)) & 1) === 1) listed.add(64 * lack.firstBlock + i);
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

t.test('what cannot be of this session is told by its numbers and its size', (t) => {
  const { intake } = createIntake();
  t.equal(intake.isOfSession(packetOf(1, 0)), true);
  const good = packetOf(1, 0);
  t.equal(intake.isOfSession({ ...good, block: small.blockCount }), false, 'block');
  t.equal(intake.isOfSession({ ...good, block: 2 ** 32 - 1 }), false, 'block');
  t.equal(intake.isOfSession({ ...good, segment: 4 }), false, 'segment');
  t.equal(intake.isOfSession({ ...good, segment: 255 }), false, 'parity, for a later version');
  t.equal(intake.isOfSession(withBody(good, good.body.subarray(1))), false, 'too short');
  t.equal(intake.isOfSession(withBody(good, new Uint8Array(65))), false, 'too long');
  t.equal(intake.isOfSession(withBody(packetOf(3, 3), good.body)), false, 'more than is left');
  t.end();
});

t.test('a tag must fit, also before tags are asked for', (t) => {
  const { intake } = createIntake();
  const tagged = packetOf(1, 0, { isTagged: true });
  t.equal(intake.isOfSession(tagged), true);
  for (let i = 0; i < tagSizeBytes; i++) {
    const tag = tagged.tag.map((byte, place) => (place === i ? byte ^ 0x80 : byte));
    t.equal(intake.isOfSession({ ...tagged, tag }), false, `byte ${i} of the tag`);
  }
  const header = tagged.header.slice();
  header[15] = 1;
  t.equal(intake.isOfSession({ ...tagged, header }), false, 'header');
  t.equal(intake.isOfSession({ ...tagged, body: packetOf(2, 0).body }), false, 'body');
  t.equal(intake.wantsTags, false, 'a forged datagram alone costs nothing');
  t.end();
});

t.test('one forged block, and no datagram without a tag is taken', (t) => {
  const { intake, budget } = createIntake();
  intake.take(0, packetOf(1, 2, { isForged: true }));
  for (const segment of [0, 1]) t.equal(intake.take(0, packetOf(1, segment)), undefined);
  t.equal(intake.wantsTags, false);
  t.equal(intake.take(0, packetOf(1, 3)), 'forged-data');
  t.equal(intake.wantsTags, true);
  t.equal(budget.usedBytes, 0, 'nothing of it is kept');
  t.ok(intake.lacking.has(1));
  t.match(intake.list(1, 2, () => true).lacks, [{ kind: 'whole', firstBlock: 1, blockCount: 1 }]);
  t.equal(intake.isOfSession(packetOf(1, 0)), false);
  t.equal(intake.isOfSession(packetOf(1, 0, { isTagged: true })), true);
  t.same(takeAll(intake, 0, 1, { isTagged: true }), plaintextOf(small, 1, 1));
  t.end();
});

t.test('another generation begins the block anew, and its bytes are not mixed', (t) => {
  const { intake, budget } = createIntake();
  for (const segment of [0, 1, 2]) intake.take(0, packetOf(1, segment));
  t.equal(intake.take(0, packetOf(1, 3, { generation: 2 })), undefined, 'not the fourth of four');
  t.equal(budget.usedBytes, sealedSizeBytes(1));
  t.equal(intake.take(0, packetOf(1, 0, { generation: 2 })), undefined);
  t.equal(intake.take(0, packetOf(1, 1, { generation: 2 })), undefined);
  t.same(intake.take(0, packetOf(1, 2, { generation: 2 })), plaintextOf(small, 1, 2));
  t.equal(intake.wantsTags, false, 'a sender may come back to a block');
  t.end();
});

t.test('generations that clash again and again lead to tags', (t) => {
  const { intake } = createIntake();
  let clashes = -1;
  while (!intake.wantsTags && clashes < 100) {
    intake.take(0, packetOf(1, 0, { generation: 1 + ((clashes + 1) % 2) }));
    clashes++;
  }
  t.equal(clashes, 8);
  t.end();
});

t.test('a new generation of blocks that are not begun is no clash', (t) => {
  const geometry = createSessionGeometry(0, 64 * 200, 64, 2) as SessionGeometry;
  const { intake } = createIntake(geometry);
  for (let block = 0; block < geometry.blockCount; block++) {
    takeAll(intake, 0, block, { geometry, generation: 1 + (block % 2) });
  }
  t.ok(intake.lacking.isEmpty);
  t.equal(intake.wantsTags, false);
  t.end();
});

t.test('with the memory used up no block is begun, and those begun go on', (t) => {
  const budget = new MemoryBudget(sealedSizeBytes(1) + 1);
  const { intake } = createIntake(small, budget);
  t.equal(intake.take(0, packetOf(1, 0)), undefined);
  t.equal(intake.take(0, packetOf(2, 0)), undefined, 'not used up yet');
  t.ok(budget.isExhausted);
  t.equal(intake.take(0, packetOf(3, 0)), 'no-room');
  t.ok(intake.lacking.has(3));
  for (const segment of [1, 2]) t.equal(intake.take(0, packetOf(1, segment)), undefined);
  t.same(intake.take(0, packetOf(1, 3)), plaintextOf(small, 1, 1));
  t.equal(budget.usedBytes, sealedSizeBytes(2));
  t.equal(intake.take(0, packetOf(3, 0)), undefined, 'there is room again');
  t.end();
});

t.test('a block of which nothing has come for a while makes room, one that grows does not', (t) => {
  const budget = new MemoryBudget(sealedSizeBytes(1) + 1);
  const { intake } = createIntake(small, budget);
  intake.take(0, packetOf(1, 0));
  intake.take(0, packetOf(2, 0));
  intake.take(1, packetOf(2, 1));
  t.equal(intake.take(staleMs - 1, packetOf(3, 0)), 'no-room');
  t.equal(intake.take(staleMs, packetOf(3, 0)), undefined);
  t.equal(budget.usedBytes, sealedSizeBytes(2) + sealedSizeBytes(3));
  t.ok(intake.lacking.has(1), 'it lacks as a whole again');
  t.match(
    intake.list(0, 4, () => false).lacks,
    [
      { kind: 'whole', firstBlock: 0, blockCount: 2 },
      { kind: 'part', firstBlock: 2, low: 0b1100 },
      { kind: 'part', firstBlock: 3 },
    ],
    'of the others nothing is lost',
  );
  t.end();
});

t.test('where others use up the memory, one block at a time has room all the same', (t) => {
  const budget = new MemoryBudget(1000);
  budget.usedBytes = 1000;
  const { intake } = createIntake(small, budget);
  t.equal(intake.take(0, packetOf(1, 0)), undefined);
  t.equal(intake.take(0, packetOf(2, 0)), 'no-room');
  for (const segment of [1, 2]) intake.take(0, packetOf(1, segment));
  const content = intake.take(0, packetOf(1, 3)) as Uint8Array;
  t.same(content, plaintextOf(small, 1, 1));
  intake.unwrittenBytes = content.length;
  t.equal(intake.take(0, packetOf(2, 0)), 'no-room', 'until it is written');
  intake.unwrittenBytes = 0;
  t.equal(intake.take(0, packetOf(2, 0)), undefined);
  intake.close();
  t.equal(budget.usedBytes, 1000, 'it gives back what it took, and no more');
  t.end();
});

t.test('after any history the memory that is counted is that of the blocks that are begun', (t) => {
  const step = fc.record({
    block: fc.nat(3),
    segment: fc.nat(3),
    generation: fc.integer({ min: 1, max: 2 }),
    waitMs: fc.constantFrom(0, 1, 600),
    isForged: fc.boolean(),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const budget = new MemoryBudget(500);
    const { intake } = createIntake(small, budget);
    let nowMs = 0;
    for (const { block, segment, waitMs, ...details } of steps) {
      nowMs += waitMs;
      if (segment >= segmentCountOfBlock(small, block)) continue;
      intake.take(nowMs, packetOf(block, segment, details));
      let begunBytes = 0;
      for (const lack of intake.list(0, small.blockCount, () => false).lacks) {
        if (lack.kind === 'part') begunBytes += sealedSizeBytes(lack.firstBlock);
      }
      if (budget.usedBytes !== begunBytes) return false;
      // A block is begun below the limit only, and may reach beyond it.
      if (budget.usedBytes >= budget.limitBytes + sealedSizeBytes(1)) return false;
    }
    intake.close();
    return budget.usedBytes === 0;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('segments are lost that come after a report has told of them as lost', (t) => {
  const { intake } = createIntake();
  intake.take(0, packetOf(1, 0, { burst: 5 }));
  intake.take(0, packetOf(1, 3, { burst: 5 }));
  intake.list(0, 4, (burst) => burst < 5);
  intake.take(0, packetOf(1, 1, { burst: 5 }));
  t.equal(intake.segmentsLost, 0, 'its burst was not over');
  intake.list(0, 4, (burst) => burst <= 5);
  intake.take(0, packetOf(1, 2, { burst: 6 }));
  t.equal(intake.segmentsLost, 1);
  t.end();
});

t.test('a block that comes behind a later one of its pass was lost as a whole', (t) => {
  const { intake } = createIntake();
  takeAll(intake, 0, 2, { generation: 1 });
  takeAll(intake, 0, 1, { generation: 1 });
  t.equal(intake.segmentsLost, segmentCountOfBlock(small, 1));
  takeAll(intake, 0, 0, { generation: 2 });
  takeAll(intake, 0, 3, { generation: 2 });
  t.equal(intake.segmentsLost, segmentCountOfBlock(small, 1), 'a new pass begins at the front');
  t.end();
});

t.test('a buffer that is used again leaves nothing of its last block', (t) => {
  const { intake } = createIntake();
  t.same(takeAll(intake, 0, 1), plaintextOf(small, 1, 1));
  t.same(takeAll(intake, 0, 3), plaintextOf(small, 3, 1), 'a smaller one');
  t.same(takeAll(intake, 0, 2), plaintextOf(small, 2, 1), 'a larger one');
  t.end();
});
