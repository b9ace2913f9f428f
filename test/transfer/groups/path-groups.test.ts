/** Which of several paths gets the last blocks of a receiver. */
import t from 'tap';
import { SegmentSet } from '../../../src/base/segment-set.js';
import type { SessionGeometry } from '../../../src/object/geometry.js';
import type { Demand } from '../../../src/transfer/demand.js';
import { PathGroups } from '../../../src/transfer/groups/path-groups.js';
import type { RateGroup } from '../../../src/transfer/groups/rate-group.js';
import { SessionBlock } from '../../../src/transfer/sealed-block.js';

const segments = 40;

/** A rate group of a path with this round trip, which carries a block in 20 ms. */
function groupOf(rttMs: number, blocks: readonly SessionBlock[]): RateGroup {
  const model = { deliveryRate: segments / 20, rttMs, minRttMs: rttMs };
  return { pathTo: () => ({ model }), rounds: { window: blocks } } as unknown as RateGroup;
}

/** A block whose first round was sent completely at 0 ms. */
function sentBlock(): SessionBlock {
  const block = new SessionBlock(segments);
  block.reset(0, 0, segments);
  block.isRead = true;
  block.setMissing(0);
  block.beginRound();
  block.endSending(1000);
  block.sentAtMs = 0;
  return block;
}

/** Whether a fast path takes the block, at this time, from a path with a round trip of 400 ms. */
function isTaken(atMs: number, block: SessionBlock): boolean {
  let taken = false;
  const takeBack = (each: SessionBlock) => {
    taken = each === block;
  };
  const share = { perMs: Infinity };
  const demand = { index: 0, needsNothing: true, takeBack, share } as unknown as Demand;
  const geometry = { segmentsPerBlock: segments } as SessionGeometry;
  const fast = groupOf(10, []);
  const groups = new PathGroups(demand, geometry, fast);
  groups.add(0, 1, groupOf(400, [block]));
  t.equal(groups.takeLate(atMs, fast), taken);
  return taken;
}

t.test('a fast path takes the last block of a slow one', (t) => {
  t.ok(isTaken(0, sentBlock()));
  // It would take 25 ms.
  t.notOk(isTaken(190, sentBlock()), 'unless the block is about to arrive');
  t.end();
});

t.test('a fast path takes a block that a slow path is about to repair', (t) => {
  const block = sentBlock();
  const missing = SegmentSet.withCapacity(segments);
  missing.add(7);
  block.setMissingSegments(0, missing);
  block.beginRound();
  t.ok(isTaken(600, block), 'which would arrive after 200 ms');
  t.end();
});
