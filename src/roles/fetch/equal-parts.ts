/** Cuts a set of blocks into equal parts, for the split by which the exercise shares a file among servers. */
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import { RangeSet } from '../../base/range-set.js';

/** @returns parts whose sizes differ by at most one block; each is contiguous if the blocks are */
export function cutEqually(blocks: ReadonlyRangeSet, partCount: number): readonly RangeSet[] {
  const parts = Array.from({ length: partCount }, () => new RangeSet());
  const endOf = (part: number) => Math.floor(((part + 1) * blocks.count) / partCount);
  let [part, taken] = [0, 0];
  for (const { start, end } of blocks.ranges()) {
    let next = start;
    while (next < end) {
      while (endOf(part) <= taken) part++;
      const count = Math.min(end - next, endOf(part) - taken);
      parts[part]?.add(next, next + count);
      next += count;
      taken += count;
    }
  }
  return parts;
}
