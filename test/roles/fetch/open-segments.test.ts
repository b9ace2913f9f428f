import t from 'tap';
import { RangeSet } from '../../../src/base/range-set.js';
import { OpenSegments } from '../../../src/roles/fetch/open-segments.js';

t.test('blocks next to the latest segment extend it', (t) => {
  const segments = new OpenSegments();
  const asked = new RangeSet([{ start: 2, end: 9 }]);
  segments.add(10, 4, 6, 0);
  segments.add(20, 6, 9, 0);
  segments.add(30, 2, 4, 0);
  for (let block = 2; block < 9; block++) {
    segments.deliver(block, 100);
    asked.remove(block, block + 1);
    const finished = segments.takeFinished(block, asked);
    if (block < 8) t.equal(finished, undefined);
    else t.match(finished, { startBlock: 2, endBlock: 9, startMs: 10, deliveredBytes: 700 });
  }
  t.end();
});

t.test('blocks with other retries, or after a loss, begin a segment', (t) => {
  const segments = new OpenSegments();
  segments.add(0, 0, 4, 0);
  segments.add(0, 4, 6, 1);
  segments.replace(5, 6, 'slow');
  segments.add(0, 5, 7, 1);
  t.match(segments.takeAllFinished(new RangeSet()), [
    { startBlock: 0, endBlock: 4, retries: 0, replaced: undefined },
    { startBlock: 4, endBlock: 5, retries: 1, replaced: 'slow' },
    { startBlock: 5, endBlock: 7, retries: 1, replaced: undefined },
  ]);
  t.same(segments.takeAllFinished(new RangeSet()), []);
  t.end();
});
