/** Sets of ranges against plain sets. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Range } from '../src/range-set.js';
import { RangeSet } from '../src/range-set.js';

const limit = 40;
const range = fc
  .tuple(fc.integer({ min: 0, max: limit - 1 }), fc.integer({ min: 1, max: limit }))
  .map(([start, size]) => ({ start, end: Math.min(limit, start + size) }));
const change = fc.record({ kind: fc.constantFrom('add', 'remove'), range });
const runs = { seed: 1, numRuns: 2000 };

function membersOf(ranges: Iterable<Range>): number[] {
  return [...ranges].flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  );
}

/** What a set holds after these changes, twice: as ranges and as a plain set. */
function build(changes: readonly { kind: string; range: Range }[]) {
  const ranges = new RangeSet();
  const plain = new Set<number>();
  for (const { kind, range } of changes) {
    if (kind === 'add') ranges.add(range.start, range.end);
    else ranges.remove(range.start, range.end);
    for (const member of membersOf([range])) {
      if (kind === 'add') plain.add(member);
      else plain.delete(member);
    }
  }
  return { ranges, plain };
}

t.test('it holds what a plain set holds, in as few ranges as there can be', (t) => {
  const property = fc.property(fc.array(change), (changes) => {
    const { ranges, plain } = build(changes);
    const all = [...ranges.ranges()];
    const touching = all.some(({ start }, i) => i > 0 && start <= (all[i - 1]?.end ?? 0));
    return (
      !touching &&
      ranges.rangeCount === all.length &&
      ranges.count === plain.size &&
      ranges.isEmpty === (plain.size === 0) &&
      Array.from({ length: limit }, (_, i) => i).every((i) => ranges.has(i) === plain.has(i)) &&
      membersOf(all).every((member) => plain.has(member))
    );
  });
  fc.assert(property, runs);
  t.end();
});

t.test('what it holds and its gaps make up the whole, wherever one looks', (t) => {
  const property = fc.property(fc.array(change), range, (changes, { start, end }) => {
    const { ranges, plain } = build(changes);
    const gaps = [...ranges.gaps(start, end)];
    const lacking = membersOf([{ start, end }]).filter((member) => !plain.has(member));
    return (
      JSON.stringify(membersOf(gaps)) === JSON.stringify(lacking) &&
      gaps.every((gap, i) => i === 0 || gap.start > (gaps[i - 1]?.end ?? 0))
    );
  });
  fc.assert(property, runs);
  t.end();
});

t.test('it is built from ranges in any order', (t) => {
  const set = new RangeSet([
    { start: 10, end: 20 },
    { start: 0, end: 5 },
    { start: 5, end: 7 },
    { start: 15, end: 30 },
  ]);
  t.same(
    [...set.ranges()],
    [
      { start: 0, end: 7 },
      { start: 10, end: 30 },
    ],
  );
  t.equal(set.count, 27);
  t.end();
});

t.test('a range that is none is our own fault', (t) => {
  const set = new RangeSet();
  t.throws(() => set.add(3, 3), /not empty/);
  t.throws(() => set.remove(4, 3), /not empty/);
  t.throws(() => set.add(0.5, 3), /whole numbers/);
  t.throws(() => [...set.gaps(0, Infinity)], /whole numbers/);
  t.end();
});
