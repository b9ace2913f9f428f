/** A map of very many keys, spread over many small maps. */
import t from 'tap';
import { SpreadMap } from '../../../../src/node/disk/store/spread-map.js';

const count = 100_000;

t.test('it holds what was put into it, and no small map grows large', (t) => {
  const names = (i: number) => `folder ${i % 100}/file ${i}`;
  // As file systems assign them: consecutive, in steps, or with a prefix in the high bits.
  const inodes = [
    (i: number) => BigInt(i),
    (i: number) => BigInt(i) << 5n,
    (i: number) => (BigInt(i) << 16n) | 1n,
    (i: number) => (1n << 60n) + BigInt(i),
  ];
  for (const keyOf of [names, ...inodes]) {
    const map = new SpreadMap<string | bigint, number>();
    for (let i = 0; i < count; i++) map.set(keyOf(i), i);
    let rightCount = 0;
    for (let i = 0; i < count; i++) if (map.get(keyOf(i)) === i) rightCount++;
    t.equal(rightCount, count);
    t.equal(map.get(keyOf(count)), undefined);
    const sizes = map['maps'].map((small) => small?.size ?? 0);
    t.ok(Math.max(...sizes) < count / 32, `the largest of ${Math.max(...sizes)}`);
  }
  t.end();
});
