import fc from 'fast-check';
import t from 'tap';
import { SegmentSet } from '../../src/base/segment-set.js';
import { Block, BlockWindow } from '../../src/transfer/block-window.js';

const receivers = [0, 1, 2];
const segments = Array.from({ length: 64 }, (_, i) => i);

/** A block as plain sets: the missing segments of each receiver. */
interface Model {
  readonly index: number;
  readonly segmentCount: number;
  readonly missing: readonly Set<number>[];
}

function isAsModel(block: Block, model: Model): boolean {
  const pending = model.missing.filter((set) => set.size > 0).length;
  return (
    block.index === model.index &&
    block.firstSequence === model.index * 64 &&
    block.segmentCount === model.segmentCount &&
    block.pendingCount === pending &&
    receivers.every((receiver) => {
      const missing = model.missing[receiver] as Set<number>;
      const isSame = segments.every((s) => block.isMissing(receiver, s) === missing.has(s));
      return isSame && block.isPending(receiver) === missing.size > 0;
    })
  );
}

/** What this round sends to a receiver alone, or to the group (-1). */
function toSend(block: Block, receiver: number, isMember = false): number[] {
  const set = SegmentSet.of([]);
  block.selectToSend(receiver, isMember, set);
  return [...set];
}

const step = fc.oneof(
  fc.record({
    do: fc.constant('push' as const),
    segmentCount: fc.integer({ min: 1, max: 64 }),
    missingAt: fc.subarray(receivers),
  }),
  fc.record({
    do: fc.constant('acknowledge' as const),
    place: fc.nat(4),
    receiver: fc.constantFrom(...receivers),
    through: fc.integer({ min: 0, max: 64 }),
  }),
  fc.constant({ do: 'drop' as const }),
);

t.test('any sequence of pushes, acknowledgements and drops matches a model of sets', (t) => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const window = new BlockWindow(() => new Block(64));
    const models: Model[] = [];
    let nextIndex = 0;
    for (const item of steps) {
      if (item.do === 'push') {
        const { segmentCount, missingAt } = item;
        const block = window.push(nextIndex, nextIndex * 64, segmentCount);
        for (const receiver of missingAt) block.setMissing(receiver);
        const whole = segments.slice(0, segmentCount);
        const missing = receivers.map((r) => new Set(missingAt.includes(r) ? whole : []));
        models.push({ index: nextIndex++, segmentCount, missing });
      } else if (item.do === 'drop' && models.length > 0) {
        window.dropOldest();
        models.shift();
      } else if (item.do === 'acknowledge' && item.place < models.length) {
        const { place, receiver, through } = item;
        const missing = models[place]?.missing[receiver] as Set<number>;
        const wasPending = missing.size > 0;
        for (let s = 0; s < through; s++) missing.delete(s);
        const isLast = window.get(place).clearThrough(receiver, through);
        if (isLast !== (wasPending && missing.size === 0)) return false;
      }
      if (window.length !== models.length) return false;
      if (!models.every((model, place) => isAsModel(window.get(place), model))) return false;
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a block is found by its index while it is in flight', (t) => {
  const window = new BlockWindow(() => new Block(64));
  t.equal(window.find(0), undefined);
  t.equal(window.oldest, undefined);
  for (const index of [5, 6, 7]) window.push(index, index, 1);
  window.dropOldest();
  t.equal(window.find(5), undefined);
  t.equal(window.find(6), window.oldest);
  t.equal(window.find(7), window.get(1));
  t.equal(window.find(7)?.index, 7);
  t.equal(window.find(8), undefined);
  window.clear();
  t.equal(window.find(7), undefined);
  t.equal(window.length, 0);
  t.end();
});

t.test('a block that is reused starts empty', (t) => {
  const window = new BlockWindow(() => new Block(64));
  const block = window.push(0, 0, 64);
  block.packets = [Uint8Array.of(1)];
  block.setMissing(0);
  block.setMissing(1);
  block.beginRound();
  block.deadlineMs = 100;
  block.nextReceiver = 1;
  block.nextSegment = 3;
  window.dropOldest();
  const next = window.push(1, 64, 2);
  const fresh = new Block(64);
  fresh.reset(1, 64, 2);
  fresh.isPending(0);
  next.beginRound();
  fresh.beginRound();
  t.strictSame({ ...next }, { ...fresh });
  t.equal(next.hasBytes, false);
  t.equal(next.isPending(0), false);
  t.end();
});

t.test('a round starts from the first receiver and segment, without a deadline', (t) => {
  const block = new Block(64);
  block.reset(0, 0, 4);
  block.beginRound();
  block.nextReceiver = 2;
  block.nextSegment = 4;
  block.deadlineMs = 50;
  block.beginRound();
  t.match(block, { round: 2, nextReceiver: 0, nextSegment: 0, deadlineMs: undefined });
  t.end();
});

t.test('segments that several members miss go to the group; those that one misses do not', (t) => {
  const block = new Block(64);
  block.reset(0, 0, 64);
  for (const receiver of [0, 1, 2, 3]) block.setMissing(receiver);
  block.clearThrough(0, 64);
  block.clearThrough(1, 40);
  block.clearThrough(2, 10);
  block.beginRound();
  block.sendToGroup([0, 1, 2]);
  t.strictSame(toSend(block, -1), segments.slice(40));
  t.equal(block.hasGroupPart, true);
  t.strictSame(toSend(block, 0, true), []);
  t.strictSame(toSend(block, 1, true), []);
  t.strictSame(toSend(block, 2, true), segments.slice(10, 40));
  t.equal(block.countToSend(2, true), 30);
  t.equal(block.countToSend(-1, false), 24);
  t.strictSame(
    toSend(block, 3),
    segments,
    'a receiver without multicast gets all its missing segments',
  );
  block.beginRound(new Set([0, 1]));
  block.sendToGroup([0, 1, 2]);
  t.strictSame(toSend(block, -1), []);
  t.equal(block.hasGroupPart, false);
  t.strictSame(toSend(block, 1, true), segments.slice(40));
  t.strictSame(toSend(block, 2, true), [], 'it is not part of the round');
  block.beginRound();
  t.strictSame(toSend(block, 2, true), segments.slice(10), 'the next round is for all');
  t.end();
});

t.test(
  'misuse is an internal error: a duplicate block, an invalid position, a drop from an empty window',
  (t) => {
    const window = new BlockWindow(() => new Block(64));
    t.throws(() => window.dropOldest(), /internal error/);
    t.throws(() => window.get(0), /internal error/);
    window.push(0, 0, 1);
    t.throws(() => window.push(0, 0, 1), /internal error: a block is in flight once/);
    t.end();
  },
);
