/** Sets of segments behave as sets of numbers do, whatever the capacities. */
import fc from 'fast-check';
import t from 'tap';
import { SegmentSet, SegmentSets } from '../../src/base/segment-set.js';

const numbers = fc.uniqueArray(fc.nat(255), { maxLength: 256 });
const capacities = fc.constantFrom(1, 31, 32, 33, 44, 64, 128, 255, 256);

/** Room for whole words: numbers up to this are kept. */
const roomOf = (capacity: number) => 32 * Math.ceil(capacity / 32);

/** A set with these numbers below its capacity, and the same as a plain set. */
function draw(list: readonly number[], capacity: number) {
  const below = list.filter((number) => number < capacity);
  return { set: SegmentSet.of(below, capacity), plain: new Set(below), room: roomOf(capacity) };
}

type Pair = ReturnType<typeof draw>;

const sorted = (list: Iterable<number>) => [...list].sort((a, b) => a - b);

/** Each operation on a set, and its definition by plain sets. */
const operations: Record<
  string,
  readonly [
    (a: SegmentSet, b: SegmentSet, n: number) => void,
    (a: Pair, b: Pair, n: number) => number[],
  ]
> = {
  clear: [(a) => a.clear(), () => []],
  fill: [(a, _, n) => a.fill(n), (_, __, n) => Array.from({ length: n }, (_, i) => i)],
  assign: [(a, b) => a.assign(b), (_, b) => [...b.plain]],
  addAll: [(a, b) => a.addAll(b), (a, b) => [...a.plain, ...b.plain]],
  addAllBelow: [
    (a, b, n) => a.addAllBelow(n, b),
    (a, b, n) => [...a.plain, ...[...b.plain].filter((i) => i < n)],
  ],
  deleteAll: [(a, b) => a.deleteAll(b), (a, b) => [...a.plain].filter((i) => !b.plain.has(i))],
  retainAll: [(a, b) => a.retainAll(b), (a, b) => [...a.plain].filter((i) => b.plain.has(i))],
  addAllInBoth: [(a, b) => a.addAllInBoth(b, b), (a, b) => [...a.plain, ...b.plain]],
  deleteBelow: [(a, _, n) => a.deleteBelow(n), (a, _, n) => [...a.plain].filter((i) => i >= n)],
  deleteFrom: [(a, _, n) => a.deleteFrom(n), (a, _, n) => [...a.plain].filter((i) => i < n)],
  keepLowest: [(a, _, n) => a.keepLowest(n), (a, _, n) => sorted(a.plain).slice(0, n)],
};

for (const [name, [apply, expect]] of Object.entries(operations)) {
  t.test(`${name} does what it does to a set of numbers`, (t) => {
    const property = fc.property(
      ...([numbers, numbers, capacities, capacities, fc.nat(256)] as const),
      (one, two, capacity, otherCapacity, n) => {
        const a = draw(one, capacity);
        const b = draw(two, otherCapacity);
        const expected = sorted(new Set(expect(a, b, n))).filter((i) => i < a.room);
        apply(a.set, b.set, n);
        t.same([...a.set], expected);
        t.same([...b.set], sorted(b.plain), 'the operand is unchanged');
        t.equal(a.set.size, expected.length);
        t.equal(a.set.isEmpty, expected.length === 0);
        t.equal(a.set.last, expected.at(-1) ?? -1);
      },
    );
    fc.assert(property, { seed: 1, numRuns: 60 });
    t.end();
  });
}

t.test('single segments are added, found and deleted; common ones are counted', (t) => {
  const property = fc.property(numbers, numbers, (one, two) => {
    const a = draw(one, 256);
    const b = draw(two, 44);
    t.equal(a.set.countIn(b.set), [...a.plain].filter((i) => b.plain.has(i)).length);
    for (const number of two) {
      t.equal(a.set.has(number), a.plain.has(number));
      a.set.delete(number);
      a.plain.delete(number);
    }
    t.same([...a.set], sorted(a.plain));
  });
  fc.assert(property, { seed: 1, numRuns: 60 });
  t.end();
});

t.test('the sets of a list share memory and nothing else', (t) => {
  const sets = new SegmentSets(44);
  const indices = [0, 1, 31, 32, 100];
  for (const index of indices) sets.at(index).fill(index % 45);
  t.same(
    indices.map((index) => sets.at(index).size),
    [0, 1, 31, 32, 10],
  );
  t.equal(sets.at(1), sets.at(1));
  sets.clear();
  t.ok(indices.every((index) => sets.at(index).isEmpty));
  t.end();
});

t.test('a capacity without or beyond the segment numbers is an internal error', (t) => {
  for (const capacity of [0, 257]) {
    t.throws(() => SegmentSet.withCapacity(capacity), /internal error: a block has 1 to 256/);
  }
  t.end();
});
