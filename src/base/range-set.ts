/**
 * Sets of whole numbers as ranges: which blocks are held, which are lacking. Memory follows the number
 * of ranges, not of members.
 */
import { assert } from './assert.js';

/** From `start` to below `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export class RangeSet {
  /** Start and end of each range in turn; ascending, so that no two ranges touch. */
  private bounds: number[] = [];
  private memberCount = 0;

  /** @param ranges in any order; they may overlap */
  constructor(ranges: Iterable<Range> = []) {
    for (const { start, end } of ranges) this.add(start, end);
  }

  get isEmpty(): boolean {
    return this.bounds.length === 0;
  }

  /** Members. */
  get count(): number {
    return this.memberCount;
  }

  get rangeCount(): number {
    return this.bounds.length / 2;
  }

  has(value: number): boolean {
    // Behind an odd number of bounds lies the inside of a range.
    return this.boundsUpTo(value) % 2 === 1;
  }

  /** The first member from `value` on, if there is one. */
  nextFrom(value: number): number | undefined {
    const place = this.boundsUpTo(value);
    return place % 2 === 1 ? value : this.bounds[place];
  }

  /** Takes in every number from `start` to below `end`. */
  add(start: number, end: number): void {
    checkRange(start, end);
    // Bounds that lie within are covered; a range that touches is joined.
    const from = this.boundsUpTo(start - 1);
    const to = this.boundsUpTo(end);
    this.replace(from, to, [...(from % 2 === 0 ? [start] : []), ...(to % 2 === 0 ? [end] : [])]);
  }

  /** Takes out every number from `start` to below `end`. */
  remove(start: number, end: number): void {
    checkRange(start, end);
    const from = this.boundsUpTo(start - 1);
    const to = this.boundsUpTo(end);
    this.replace(from, to, [...(from % 2 === 1 ? [start] : []), ...(to % 2 === 1 ? [end] : [])]);
  }

  /** The ranges, ascending; the set must not change meanwhile. */
  *ranges(): Generator<Range> {
    for (let i = 0; i < this.bounds.length; i += 2) {
      yield { start: this.bounds[i] as number, end: this.bounds[i + 1] as number };
    }
  }

  /** What is lacking from `start` to below `end`, ascending; the set must not change meanwhile. */
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

  /** How many bounds are at most `value`. */
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

  private replace(from: number, to: number, bounds: readonly number[]): void {
    const taken = this.bounds.splice(from, to - from, ...bounds);
    // Whether a bound is a start or an end is told by its place.
    this.memberCount += spanOf(from, bounds) - spanOf(from, taken);
  }
}

/** What bounds that begin at this place add to the members: ends count for, starts against. */
function spanOf(place: number, bounds: readonly number[]): number {
  return bounds.reduce((sum, bound, i) => sum + ((place + i) % 2 === 0 ? -bound : bound), 0);
}

function checkRange(start: number, end: number): void {
  assert(Number.isSafeInteger(start) && Number.isSafeInteger(end), 'a range of whole numbers');
  assert(start < end, 'a range that is not empty');
}
