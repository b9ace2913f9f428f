/** Range sets compared with plain sets. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Range } from '../../src/base/range-set.js';
import { RangeSet } from '../../src/base/range-set.js';

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

/** Applies these changes to a range set and to a plain set. */
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

t.test('it holds what a plain set holds, in the fewest ranges', (t) => {
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

t.test('its members and its gaps together cover every interval', (t) => {
  const property = fc.property(fc.array(change), range, (changes, { start, end }) => {
    const { ranges, plain } = build(changes);
    const gaps = [...ranges.gaps(start, end)];
    const missing = membersOf([{ start, end }]).filter((member) => !plain.has(member));
    return (
      JSON.stringify(membersOf(gaps)) === JSON.stringify(missing) &&
      gaps.every((gap, i) => i === 0 || gap.start > (gaps[i - 1]?.end ?? 0))
    );
  });
  fc.assert(property, runs);
  t.end();
});

t.test('the members next to any position match a plain set', (t) => {
  const property = fc.property(fc.array(change), (changes) => {
    const { ranges, plain } = build(changes);
    const places = Array.from({ length: limit + 4 }, (_, i) => i - 2);
    const next = (value: number) => [...plain].sort((a, b) => a - b).find((m) => m >= value);
    const nextOutside = (value: number): number => {
      let outside = value;
      while (plain.has(outside)) outside++;
      return outside;
    };
    const previous = (value: number) => [...plain].sort((a, b) => b - a).find((m) => m <= value);
    const previousOutside = (value: number): number => {
      let outside = value;
      while (plain.has(outside)) outside--;
      return outside;
    };
    return places.every(
      (value) =>
        ranges.nextFrom(value) === next(value) &&
        ranges.nextOutside(value) === nextOutside(value) &&
        ranges.countBelow(value) === [...plain].filter((m) => m < value).length &&
        ranges.previousFrom(value) === previous(value) &&
        ranges.previousOutside(value) === previousOutside(value),
    );
  });
  fc.assert(property, runs);
  t.end();
});

t.test('iterating from member to member visits each once', (t) => {
  const property = fc.property(fc.array(change), (changes) => {
    const { ranges, plain } = build(changes);
    const met: number[] = [];
    let value = ranges.nextFrom(0);
    while (value !== undefined && met.length <= limit) {
      met.push(value);
      value = ranges.nextFrom(value + 1);
    }
    return JSON.stringify(met) === JSON.stringify([...plain].sort((a, b) => a - b));
  });
  fc.assert(property, runs);
  t.end();
});

t.test('after a clear it holds only what is added later', (t) => {
  const property = fc.property(fc.array(change), fc.array(change), (before, after) => {
    const { ranges } = build(before);
    ranges.clear();
    const isEmpty = ranges.isEmpty && ranges.count === 0 && ranges.rangeCount === 0;
    const hasNothing = ranges.nextFrom(0) === undefined && [...ranges.ranges()].length === 0;
    const { ranges: expected } = build(after);
    for (const { kind, range } of after) {
      if (kind === 'add') ranges.add(range.start, range.end);
      else ranges.remove(range.start, range.end);
    }
    return (
      isEmpty &&
      hasNothing &&
      ranges.count === expected.count &&
      JSON.stringify([...ranges.ranges()]) === JSON.stringify([...expected.ranges()])
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

t.test('an invalid range is an internal error', (t) => {
  const set = new RangeSet();
  t.throws(() => set.add(3, 3), /not empty/);
  t.throws(() => set.remove(4, 3), /not empty/);
  t.throws(() => set.add(0.5, 3), /whole numbers/);
  t.throws(() => [...set.gaps(0, Infinity)], /whole numbers/);
  t.end();
});
