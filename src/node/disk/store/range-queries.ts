/** Queries on a set of ranges, computed from the gaps of the set. */
import type { Range, RangeSet } from '../../../base/range-set.js';

export function hasAll(set: RangeSet, { start, end }: Range): boolean {
  return start === end || set.gaps(start, end).next().done === true;
}

export function hasAny(set: RangeSet, { start, end }: Range): boolean {
  if (start === end) return false;
  const { value } = set.gaps(start, end).next();
  return value === undefined || value.start !== start || value.end !== end;
}

/** The parts of the range that are in the set, ascending. */
export function partsWithin(set: RangeSet, { start, end }: Range): Range[] {
  if (start === end) return [];
  const parts: Range[] = [];
  let from = start;
  for (const gap of [...set.gaps(start, end), { start: end, end }]) {
    if (gap.start > from) parts.push({ start: from, end: gap.start });
    from = gap.end;
  }
  return parts;
}

/** How much of the range is in the set. */
export function countWithin(set: RangeSet, { start, end }: Range): number {
  if (start === end) return 0;
  let count = end - start;
  for (const gap of set.gaps(start, end)) count -= gap.end - gap.start;
  return count;
}
