/** How a report changes the blocks in flight. */
import * as fc from 'fast-check';
import t from 'tap';
import { SegmentSet } from '../../src/base/segment-set.js';
import { Path } from '../../src/path/path.js';
import { BlockWindow } from '../../src/transfer/block-window.js';
import { Demand } from '../../src/transfer/demand.js';
import { takeGaps } from '../../src/transfer/received-report.js';
import { SessionBlock } from '../../src/transfer/sealed-block.js';
import type { Gap, Report } from '../../src/wire/report.js';

const segmentCount = 8;
const all = [0, 1, 2, 3, 4, 5, 6, 7];

/** Blocks from 0 on in flight to one receiver, each sent whole in a burst of its own number. */
function inFlight(count: number) {
  const window = new BlockWindow(() => new SessionBlock(segmentCount));
  const blocks: SessionBlock[] = [];
  for (let i = 0; i < count; i++) {
    const block = window.push(i, 0, segmentCount);
    block.isRead = true;
    block.wire = new Uint8Array(segmentCount);
    block.setMissing(0);
    block.beginRound();
    block.noteBurst(0, i, SegmentSet.of(all));
    block.endSending(100);
    block.expectFeedback(0);
    blocks.push(block);
  }
  const demand = new Demand(0, new Path({ address: { host: '192.0.2.1', port: 7735 } }, 1400));
  const take = (cumulativeBurst: number | undefined, described: number, gaps: readonly Gap[]) => {
    const report = { cumulativeBurst, firstBlock: 0, describedBlocks: described, gaps } as Report;
    const group = { rounds: { window } };
    takeGaps([group], group, demand, report, count - 1);
  };
  return { blocks, demand, take };
}

const part = (firstBlock: number, segments: readonly number[]): Gap => ({
  kind: 'part',
  firstBlock,
  segments: SegmentSet.of(segments),
});
const whole = (firstBlock: number, blockCount = 1): Gap => ({
  kind: 'whole',
  firstBlock,
  blockCount,
});
const missingOf = (block: SessionBlock) => all.filter((segment) => block.isMissing(0, segment));

t.test('unlisted segments have arrived; listed ones are lost if their burst is over', (t) => {
  const { blocks, take } = inFlight(3);
  take(2, 3, [part(1, [0, 2])]);
  t.same(blocks.map(missingOf), [[], [0, 2], []]);
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
    take(0, 3, [part(1, [0, 2, 3]), whole(2)]);
    t.same(blocks.map(missingOf), [[], [0, 2, 3], all]);
    t.same(
      blocks.map((block) => block.isAwaited(0)),
      [false, true, true],
    );
    take(undefined, 3, [part(1, [0, 1, 2, 3]), whole(2)]);
    t.same(missingOf(blocks[1] as SessionBlock), [0, 2, 3], 'an older report undoes nothing');
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
  t.same(blocks.map(missingOf), [[], [], all]);
  t.end();
});

t.test('missing segments of blocks that are not in flight are needed', (t) => {
  const { demand, take } = inFlight(2);
  take(1, 10, [part(5, [0, 1]), whole(7, 2)]);
  t.same(
    [...demand['needed'].ranges()].flatMap(({ start, end }) => [start, end]),
    [5, 6, 7, 9],
  );
  t.same([...(demand['parts'].get(5) ?? [])], [0, 1], 'a partial block: which segments');
  t.end();
});

t.test('after a report on all bursts, blocks in flight miss what the report lists', (t) => {
  const lists = fc.array(fc.subarray(all), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(lists, (lists) => {
      const { blocks, take } = inFlight(lists.length);
      const gaps = lists.flatMap((list, i) => (list.length === 0 ? [] : [part(i, list)]));
      take(lists.length - 1, lists.length, gaps);
      return blocks.every(
        (block, i) => `${missingOf(block)}` === `${lists[i]}` && !block.isAwaited(0),
      );
    }),
  );
  t.end();
});
