import * as fc from 'fast-check';
import t from 'tap';
import { RangeSet } from '../../../../src/base/range-set.js';
import { cutEqually } from '../../../../src/roles/fetch/sharing/equal-parts.js';

t.test('a contiguous object is cut into contiguous parts', (t) => {
  const parts = cutEqually(new RangeSet([{ start: 0, end: 10 }]), 3);
  t.same(
    parts.map((part) => [...part.ranges()]),
    [[{ start: 0, end: 3 }], [{ start: 3, end: 6 }], [{ start: 6, end: 10 }]],
  );
  t.end();
});

t.test('parts differ by at most one block, and together they are the whole', (t) => {
  const set = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 9 })));
  const property = fc.property(set, fc.integer({ min: 1, max: 9 }), (ranges, count) => {
    const blocks = new RangeSet(ranges.map(([start, size]) => ({ start, end: start + size })));
    const parts = cutEqually(blocks, count);
    const sizes = parts.map((part) => part.count);
    const all = new RangeSet(parts.flatMap((part) => [...part.ranges()]));
    return (
      parts.length === count &&
      Math.max(...sizes) - Math.min(...sizes) <= 1 &&
      sizes.reduce((sum, size) => sum + size, 0) === blocks.count &&
      JSON.stringify([...all.ranges()]) === JSON.stringify([...blocks.ranges()])
    );
  });
  fc.assert(property, { seed: 1 });
  t.end();
});
