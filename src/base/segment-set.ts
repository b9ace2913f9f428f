/** Sets of the segments of a block, as bits in typed arrays. Changing and comparing sets allocates no memory. */
import { assert } from './assert.js';

/** Segment numbers are below this limit. */
export const maxSegmentNumbers = 256;

const bitsPerWord = 32;
const setsPerArray = 32;

/**
 * A set of segment numbers from 0 to below its capacity. Operands can have other capacities; numbers that a
 * set has no room for are dropped.
 * @example
 * ```ts
 * import { SegmentSet } from 'p2mp/core';
 *
 * const missing = SegmentSet.of([2, 40]);
 * missing.delete(2);
 * console.log(missing.size, [...missing].join()); // 1 40
 * ```
 */
export class SegmentSet {
  /** @param first index of the first word of this set; sets can share an array */
  constructor(
    private readonly words: Uint32Array,
    private readonly first: number,
    private readonly wordCount: number,
  ) {}

  /** @returns an empty set */
  static withCapacity(segmentCount: number): SegmentSet {
    const wordCount = wordsFor(segmentCount);
    return new SegmentSet(new Uint32Array(wordCount), 0, wordCount);
  }

  /** @returns the set of these segments */
  static of(segments: Iterable<number>, capacity = maxSegmentNumbers): SegmentSet {
    const set = SegmentSet.withCapacity(capacity);
    for (const segment of segments) set.add(segment);
    return set;
  }

  /** Iterates over the segments in ascending order. */
  *[Symbol.iterator](): Iterator<number> {
    const { last } = this;
    for (let segment = 0; segment <= last; segment++) if (this.has(segment)) yield segment;
  }

  /** Whether the set has no segment. */
  get isEmpty(): boolean {
    for (let i = 0; i < this.wordCount; i++) if (this.word(i) !== 0) return false;
    return true;
  }

  /** Number of segments in the set. */
  get size(): number {
    let size = 0;
    for (let i = 0; i < this.wordCount; i++) size += bitCount(this.word(i));
    return size;
  }

  /** The highest segment number in the set; -1 if the set is empty. */
  get last(): number {
    for (let i = this.wordCount - 1; i >= 0; i--) {
      const word = this.word(i);
      if (word !== 0) return bitsPerWord * i + 31 - Math.clz32(word);
    }
    return -1;
  }

  /** Whether the segment is in the set. */
  has(segment: number): boolean {
    return ((this.word(segment >>> 5) >>> (segment & 31)) & 1) === 1;
  }

  /** Adds a segment. */
  add(segment: number): void {
    this.setWord(segment >>> 5, this.word(segment >>> 5) | (1 << (segment & 31)));
  }

  /** Deletes a segment. */
  delete(segment: number): void {
    this.setWord(segment >>> 5, this.word(segment >>> 5) & ~(1 << (segment & 31)));
  }

  /** Deletes every segment. */
  clear(): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, 0);
  }

  /** Makes this the set of the first `count` segments. */
  fill(count: number): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, lowBits(count - bitsPerWord * i));
  }

  /** Makes this set equal to another one. */
  assign(other: SegmentSet): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, other.word(i));
  }

  /** Adds the segments of the other set. */
  addAll(other: SegmentSet): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, this.word(i) | other.word(i));
  }

  /** Adds the segments of the other set that are below `end`. */
  addAllBelow(end: number, other: SegmentSet): void {
    for (let i = 0; i < this.wordCount && bitsPerWord * i < end; i++) {
      this.setWord(i, this.word(i) | (other.word(i) & lowBits(end - bitsPerWord * i)));
    }
  }

  /** Adds the segments that are in both of these sets. */
  addAllInBoth(a: SegmentSet, b: SegmentSet): void {
    for (let i = 0; i < this.wordCount; i++) {
      this.setWord(i, this.word(i) | (a.word(i) & b.word(i)));
    }
  }

  /** Deletes the segments of the other set. */
  deleteAll(other: SegmentSet): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, this.word(i) & ~other.word(i));
  }

  /** Deletes the segments that are not in the other set. */
  retainAll(other: SegmentSet): void {
    for (let i = 0; i < this.wordCount; i++) this.setWord(i, this.word(i) & other.word(i));
  }

  /** Deletes the segments below this number. */
  deleteBelow(segment: number): void {
    for (let i = 0; i < this.wordCount && bitsPerWord * i < segment; i++) {
      this.setWord(i, this.word(i) & ~lowBits(segment - bitsPerWord * i));
    }
  }

  /** Deletes this segment and those above. */
  deleteFrom(segment: number): void {
    for (let i = 0; i < this.wordCount; i++) {
      this.setWord(i, this.word(i) & lowBits(segment - bitsPerWord * i));
    }
  }

  /** Deletes all but the `count` lowest segments. */
  keepLowest(count: number): void {
    let left = count;
    for (let i = 0; i < this.wordCount; i++) {
      const word = this.word(i);
      const size = bitCount(word);
      if (size > left) this.setWord(i, lowestBits(word, left));
      left = Math.max(0, left - size);
    }
  }

  /** Number of segments that are in both sets. */
  countIn(other: SegmentSet): number {
    let count = 0;
    for (let i = 0; i < this.wordCount; i++) count += bitCount(this.word(i) & other.word(i));
    return count;
  }

  /** The 32 segments from number `32 * index` on, lowest bit first; 0 beyond the capacity. */
  private word(index: number): number {
    return index < this.wordCount ? (this.words[this.first + index] as number) : 0;
  }

  private setWord(index: number, word: number): void {
    if (index < this.wordCount) this.words[this.first + index] = word;
  }
}

/** One set for each index from 0 on. Sets are created on first use and share memory. */
export class SegmentSets {
  private readonly sets: SegmentSet[] = [];
  private readonly arrays: Uint32Array[] = [];
  private readonly wordCount: number;

  constructor(segmentCount: number) {
    this.wordCount = wordsFor(segmentCount);
  }

  at(index: number): SegmentSet {
    while (this.sets.length <= index) this.grow();
    return this.sets[index] as SegmentSet;
  }

  /** Empties every set. */
  clear(): void {
    for (const array of this.arrays) array.fill(0);
  }

  private grow(): void {
    const array = new Uint32Array(setsPerArray * this.wordCount);
    this.arrays.push(array);
    for (let i = 0; i < setsPerArray; i++) {
      this.sets.push(new SegmentSet(array, i * this.wordCount, this.wordCount));
    }
  }
}

function wordsFor(segmentCount: number): number {
  assert(segmentCount >= 1 && segmentCount <= maxSegmentNumbers, 'a block has 1 to 256 segments');
  return Math.ceil(segmentCount / bitsPerWord);
}

/** Number of bits set in a word. */
function bitCount(word: number): number {
  let count = word - ((word >>> 1) & 0x55555555);
  count = (count & 0x33333333) + ((count >>> 2) & 0x33333333);
  return Math.imul((count + (count >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** `word` with only its `count` lowest set bits; 0 if `count` is below 1. */
function lowestBits(word: number, count: number): number {
  let rest = word;
  let kept = 0;
  for (let i = 0; i < count && rest !== 0; i++) {
    kept |= rest & -rest;
    rest &= rest - 1;
  }
  return kept;
}

/** A word in which the lowest `count` bits are set: 0 if `count` is below 1, all ones if it is 32 or more. */
function lowBits(count: number): number {
  if (count <= 0) return 0;
  return count >= bitsPerWord ? 0xffffffff : 2 ** count - 1;
}
