/**
 * Sets of integers stored as ranges, for example the blocks that are held or missing. Memory is proportional to the
 * number of ranges, not to the number of members.
 */
import { assert } from './assert.js';

/** Integers from `start` up to but excluding `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A set of integers that its reader must not change. */
export type ReadonlyRangeSet = Omit<RangeSet, 'add' | 'remove' | 'clear'>;

/** A mutable set of integers, stored as disjoint ranges. */
export class RangeSet {
  /**
   * The start and the end of each range, one after the other. All bounds ascend strictly, so no two ranges
   * touch.
   */
  private bounds: number[] = [];
  private memberCount = 0;

  /** @param ranges the initial ranges, in any order; they are allowed to overlap */
  constructor(ranges: Iterable<Range> = []) {
    for (const { start, end } of ranges) this.add(start, end);
  }

  get isEmpty(): boolean {
    return this.bounds.length === 0;
  }

  /** Number of members. */
  get count(): number {
    return this.memberCount;
  }

  get rangeCount(): number {
    return this.bounds.length / 2;
  }

  has(value: number): boolean {
    // A value is inside a range if an odd number of bounds lie at or below it.
    return this.boundsUpTo(value) % 2 === 1;
  }

  /** Number of members below `value`. */
  countBelow(value: number): number {
    let count = 0;
    for (let i = 0; i < this.bounds.length; i += 2) {
      const start = this.bounds[i] as number;
      if (start >= value) break;
      count += Math.min(value, this.bounds[i + 1] as number) - start;
    }
    return count;
  }

  /** The first member at or after `value`, if any. */
  nextFrom(value: number): number | undefined {
    const place = this.boundsUpTo(value);
    return place % 2 === 1 ? value : this.bounds[place];
  }

  /** The first number at or after `value` that is not a member. */
  nextOutside(value: number): number {
    const place = this.boundsUpTo(value);
    return place % 2 === 1 ? (this.bounds[place] as number) : value;
  }

  /** The last member at or before `value`, if any. */
  previousFrom(value: number): number | undefined {
    const place = this.boundsUpTo(value);
    if (place % 2 === 1) return value;
    return place === 0 ? undefined : (this.bounds[place - 1] as number) - 1;
  }

  /** The last number at or before `value` that is not a member. */
  previousOutside(value: number): number {
    const place = this.boundsUpTo(value);
    return place % 2 === 1 ? (this.bounds[place - 1] as number) - 1 : value;
  }

  /** Adds every number from `start` up to but excluding `end`. */
  add(start: number, end: number): void {
    checkRange(start, end);
    // The bounds inside the new range are dropped. A range that touches the new range is merged with it.
    const from = this.boundsUpTo(start - 1);
    const to = this.boundsUpTo(end);
    if (to === from + 1) this.move(from, from % 2 === 0 ? start : end);
    else
      this.replace(from, to, [...(from % 2 === 0 ? [start] : []), ...(to % 2 === 0 ? [end] : [])]);
  }

  /** Removes every number from `start` up to but excluding `end`. */
  remove(start: number, end: number): void {
    checkRange(start, end);
    const from = this.boundsUpTo(start - 1);
    const to = this.boundsUpTo(end);
    if (to === from + 1) this.move(from, from % 2 === 1 ? start : end);
    else
      this.replace(from, to, [...(from % 2 === 1 ? [start] : []), ...(to % 2 === 1 ? [end] : [])]);
  }

  /** The ranges in ascending order. The set must not change during iteration. */
  *ranges(): Generator<Range> {
    for (let i = 0; i < this.bounds.length; i += 2) {
      yield { start: this.bounds[i] as number, end: this.bounds[i + 1] as number };
    }
  }

  /**
   * The gaps from `start` up to but excluding `end`, in ascending order. The set must not change
   * during iteration.
   */
  *gaps(start: number, end: number): Generator<Range> {
    checkRange(start, end);
    let from = start;
    const first = this.boundsUpTo(start);
    if (first % 2 === 1) from = this.bounds[first] as number;
    for (let i = first + (first % 2); i < this.bounds.length; i += 2) {
      const next = this.bounds[i] as number;
      if (next >= end) break;
      yield { start: from, end: next };
      from = this.bounds[i + 1] as number;
    }
    if (from < end) yield { start: from, end };
  }

  /** Number of bounds that are less than or equal to `value`. */
  private boundsUpTo(value: number): number {
    let low = 0;
    let high = this.bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.bounds[middle] as number) <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  clear(): void {
    this.bounds = [];
    this.memberCount = 0;
  }

  /** Grows or shrinks a range at one side: the usual case, which must not allocate. */
  private move(place: number, bound: number): void {
    const growth = bound - (this.bounds[place] as number);
    this.bounds[place] = bound;
    this.memberCount += place % 2 === 0 ? -growth : growth;
  }

  private replace(from: number, to: number, bounds: readonly number[]): void {
    const taken = this.bounds.splice(from, to - from, ...bounds);
    // A bound with an even index is a start, and a bound with an odd index is an end.
    this.memberCount += spanOf(from, bounds) - spanOf(from, taken);
  }
}

/**
 * Counts the members that these bounds contribute. Each end (odd index) adds its value, and each start
 * subtracts its value.
 */
function spanOf(place: number, bounds: readonly number[]): number {
  return bounds.reduce((sum, bound, i) => sum + ((place + i) % 2 === 0 ? -bound : bound), 0);
}

function checkRange(start: number, end: number): void {
  assert(Number.isSafeInteger(start) && Number.isSafeInteger(end), 'a range of whole numbers');
  assert(start < end, 'a range that is not empty');
}
