/** Equal parts: the split by which the exercise shares a file among servers. */
import type { TimeMs } from '../../../base/machine.js';
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import type { FetchSource } from '../fetch-source.js';

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

/**
 * A source that has nothing left of its own part takes blocks from the end of a part whose source delivers nothing. It takes
 * no more than it is asked for at a time, so a source that comes back continues with the rest of its part.
 */
export function takeOver(nowMs: TimeMs, source: FetchSource, live: readonly FetchSource[]): void {
  const roomBlocks = source.windowBlocks - source.asked.count;
  if (!source.pool.isEmpty || roomBlocks <= 0 || source.isStalled(nowMs)) return;
  const stalled = live.find((other) => !other.pool.isEmpty && other.isStalled(nowMs));
  const last = stalled?.pool.previousFrom(Infinity);
  if (stalled === undefined || last === undefined) return;
  const start = Math.max(stalled.pool.previousOutside(last), last - roomBlocks) + 1;
  stalled.pool.remove(start, last + 1);
  source.pool.add(start, last + 1);
}
