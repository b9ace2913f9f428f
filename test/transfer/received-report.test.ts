/** How a report changes the blocks in flight. */
import * as fc from 'fast-check';
import t from 'tap';
import { RangeSet } from '../../src/base/range-set.js';
import { BlockWindow } from '../../src/transfer/block-window.js';
import type { SessionPeer } from '../../src/transfer/peer.js';
import { takeGaps } from '../../src/transfer/received-report.js';
import { SessionBlock } from '../../src/transfer/sealed-block.js';
import type { Gap, Report } from '../../src/wire/report.js';

const segmentCount = 8;
const all = 2 ** segmentCount - 1;

/** Blocks from 0 on in flight to one receiver, each sent whole in a burst of its own number. */
function inFlight(count: number) {
  const window = new BlockWindow(() => new SessionBlock(1));
  const blocks: SessionBlock[] = [];
  for (let i = 0; i < count; i++) {
    const block = window.push(i, 0, segmentCount);
    block.isRead = true;
    block.wire = new Uint8Array(segmentCount);
    block.setMissing(0);
    block.beginRound();
    block.noteBurst(0, i, 0xffffffff, 0xffffffff);
    block.endSending(100);
    block.expectFeedback(0);
    blocks.push(block);
  }
  const peer = { index: 0, needed: new RangeSet(), parts: new Map() } as unknown as SessionPeer;
  const take = (cumulativeBurst: number | undefined, described: number, gaps: readonly Gap[]) => {
    const report = { cumulativeBurst, firstBlock: 0, describedBlocks: described, gaps } as Report;
    takeGaps(window, peer, report, count - 1);
  };
  return { blocks, peer, take };
}

const part = (firstBlock: number, low: number): Gap => ({
  kind: 'part',
  firstBlock,
  low,
  high: 0,
});
const whole = (firstBlock: number, blockCount = 1): Gap => ({
  kind: 'whole',
  firstBlock,
  blockCount,
});
const missingOf = (block: SessionBlock) => block.lowToSend(0, false);

t.test('unlisted segments have arrived; listed ones are lost if their burst is over', (t) => {
  const { blocks, take } = inFlight(3);
  take(2, 3, [part(1, 0b101)]);
  t.same(blocks.map(missingOf), [0, 0b101, 0]);
  t.same(
    blocks.map((block) => block.isAwaited(0)),
    [false, false, false],
  );
  t.end();
});

t.test(
  'segments that may still be in flight are not lost; those that arrived are acknowledged',
  (t) => {
    const { blocks, take } = inFlight(3);
    take(0, 3, [part(1, 0b1101), whole(2)]);
    t.same(blocks.map(missingOf), [0, 0b1101, all]);
    t.same(
      blocks.map((block) => block.isAwaited(0)),
      [false, true, true],
    );
    take(undefined, 3, [part(1, 0b1111), whole(2)]);
    t.equal(missingOf(blocks[1] as SessionBlock), 0b1101, 'an older report undoes nothing');
    t.end();
  },
);

t.test('a report cannot cover a burst that was not sent yet', (t) => {
  const { blocks, take } = inFlight(2);
  take(500, 2, [whole(0, 2)]);
  t.same(
    blocks.map((block) => block.isAwaited(0)),
    [true, true],
  );
  t.end();
});

t.test('blocks that the report does not describe are unchanged', (t) => {
  const { blocks, take } = inFlight(3);
  take(2, 2, []);
  t.same(blocks.map(missingOf), [0, 0, all]);
  t.end();
});

t.test('missing segments of blocks that are not in flight are needed', (t) => {
  const { peer, take } = inFlight(2);
  take(1, 10, [part(5, 0b11), whole(7, 2)]);
  t.same(
    [...peer.needed.ranges()].flatMap(({ start, end }) => [start, end]),
    [5, 6, 7, 9],
  );
  t.equal(peer.parts.get(5)?.low, 0b11, 'a partial block: which segments');
  t.end();
});

t.test('after a report on all bursts, blocks in flight miss what the report lists', (t) => {
  const masks = fc.array(fc.integer({ min: 0, max: all }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(masks, (lows) => {
      const { blocks, take } = inFlight(lows.length);
      const gaps = lows.flatMap((low, i) => (low === 0 ? [] : [part(i, low)]));
      take(lows.length - 1, lows.length, gaps);
      return blocks.every((block, i) => missingOf(block) === lows[i] && !block.isAwaited(0));
    }),
  );
  t.end();
});
