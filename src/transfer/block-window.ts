/**
 * The blocks in flight: for each, the packets to send, which receivers lack which segments, and the
 * deadline of the round. Stop-and-wait is the window of one block of one segment.
 */

import { assert, at } from '../base/assert.js';
import { bitCount, hasBit, lowBits } from '../base/bit-masks.js';
import type { TimeMs } from '../base/machine.js';

/** One block in flight. Segments are counted within the block here. */
export class Block {
  index = 0;
  firstSequence = 0;
  segmentCount = 0;
  /** Encoded once, sent any number of times. */
  packets: Uint8Array[] = [];
  /** Receivers that lack some of the block. */
  pendingCount = 0;
  /** Rounds begun; 0 while the bytes are not there yet. */
  round = 0;
  /** When the round is over; undefined while it is still being sent. */
  deadlineMs: TimeMs | undefined;
  /** Where the round's sending stands: one receiver after another, and the group behind the last. */
  nextReceiver = 0;
  nextSegment = 0;

  /** Whom the round goes to; undefined for all. */
  private receivers: ReadonlySet<number> | undefined;
  /** The deadline of those whom the round does not go to. */
  private othersDeadlineMs: TimeMs | undefined;

  /** The segments of this round that go to the group, low half first. */
  private groupLow = 0;
  private groupHigh = 0;

  /** Two masks for each receiver, low half first: bit i set means that segment i is lacking. */
  private readonly missing: Uint32Array;

  constructor(receiverCount: number) {
    this.missing = new Uint32Array(2 * receiverCount);
  }

  get hasBytes(): boolean {
    return this.packets.length > 0;
  }

  /** Whether a round has begun and not all of it is sent. */
  get isSending(): boolean {
    return this.round > 0 && this.deadlineMs === undefined;
  }

  reset(index: number, firstSequence: number, segmentCount: number): void {
    this.index = index;
    this.firstSequence = firstSequence;
    this.segmentCount = segmentCount;
    this.packets = [];
    this.pendingCount = 0;
    this.round = 0;
    this.deadlineMs = undefined;
    this.missing.fill(0);
  }

  /** @param receivers whom the round goes to, as far as they are pending; all if left out */
  beginRound(receivers?: ReadonlySet<number>): void {
    this.round++;
    this.receivers = receivers;
    this.othersDeadlineMs = receivers === undefined ? undefined : this.deadlineMs;
    this.deadlineMs = undefined;
    this.groupLow = 0;
    this.groupHigh = 0;
    this.nextReceiver = 0;
    this.nextSegment = 0;
  }

  /** The receiver lacks the whole block. */
  setMissing(receiver: number): void {
    const count = this.segmentCount;
    this.setMissingSegments(receiver, lowBits(count), lowBits(count - 32));
  }

  /** The receiver lacks these segments, low half first, and no others. */
  setMissingSegments(receiver: number, low: number, high: number): void {
    const wasPending = this.isPending(receiver);
    this.missing[2 * receiver] = low & lowBits(this.segmentCount);
    this.missing[2 * receiver + 1] = high & lowBits(this.segmentCount - 32);
    if (this.isPending(receiver) !== wasPending) this.pendingCount += wasPending ? -1 : 1;
  }

  /** Of what it lacked, the receiver still lacks these segments, low half first. */
  keepMissingSegments(receiver: number, low: number, high: number): void {
    const place = 2 * receiver;
    this.setMissingSegments(
      receiver,
      (this.missing[place] as number) & low,
      (this.missing[place + 1] as number) & high,
    );
  }

  /** How many segments of this round go to a receiver alone; to the group where `receiver` is below 0. */
  countToSend(receiver: number, isMember: boolean): number {
    return (
      bitCount(this.lowToSend(receiver, isMember)) + bitCount(this.highToSend(receiver, isMember))
    );
  }

  /** How many of these segments the receiver lacks. */
  countMissing(receiver: number, low: number, high: number): number {
    const place = 2 * receiver;
    return (
      bitCount((this.missing[place] as number) & low) +
      bitCount((this.missing[place + 1] as number) & high)
    );
  }

  isMissing(receiver: number, segment: number): boolean {
    const place = 2 * receiver;
    return hasBit(this.missing[place] as number, this.missing[place + 1] as number, segment);
  }

  isPending(receiver: number): boolean {
    return (
      ((this.missing[2 * receiver] as number) | (this.missing[2 * receiver + 1] as number)) !== 0
    );
  }

  /**
   * The round has been sent; it is over at this time. Those whom it did not go to still wait for the
   * deadline that they had, which must not be put off for ever by others.
   */
  endSending(deadlineMs: TimeMs): void {
    this.deadlineMs = Math.min(deadlineMs, this.othersDeadlineMs ?? deadlineMs);
  }

  /**
   * Of this round, what several members of the group lack goes to the group. What only one of them lacks goes
   * to it alone, unless that takes more than it saves the others.
   * @param members whom it reaches
   */
  sendToGroup(members: readonly number[]): void {
    let onceLow = 0;
    let onceHigh = 0;
    for (const receiver of members) {
      if (!this.isRoundFor(receiver)) continue;
      const low = this.missing[2 * receiver] as number;
      const high = this.missing[2 * receiver + 1] as number;
      this.groupLow |= onceLow & low;
      this.groupHigh |= onceHigh & high;
      onceLow |= low;
      onceHigh |= high;
    }
    let batchCount = this.hasGroupPart ? 1 : 0;
    for (const receiver of members) if (this.countToSend(receiver, true) > 0) batchCount++;
    const ownCount = bitCount(onceLow & ~this.groupLow) + bitCount(onceHigh & ~this.groupHigh);
    if (ownCount > (batchCount - 1) * segmentsPerBatchSaved) return;
    this.groupLow = onceLow;
    this.groupHigh = onceHigh;
  }

  /** Whether anything of this round goes to the group. */
  get hasGroupPart(): boolean {
    return (this.groupLow | this.groupHigh) !== 0;
  }

  /**
   * Segments of this round, low half, for one receiver alone; for the group where `receiver` is below 0.
   * @param isMember whether it gets the group's part as well
   */
  lowToSend(receiver: number, isMember: boolean): number {
    if (receiver < 0) return this.groupLow;
    if (!this.isRoundFor(receiver)) return 0;
    return (this.missing[2 * receiver] as number) & (isMember ? ~this.groupLow : -1);
  }

  /** The same, high half. */
  highToSend(receiver: number, isMember: boolean): number {
    if (receiver < 0) return this.groupHigh;
    if (!this.isRoundFor(receiver)) return 0;
    return (this.missing[2 * receiver + 1] as number) & (isMember ? ~this.groupHigh : -1);
  }

  isRoundFor(receiver: number): boolean {
    return this.receivers === undefined || this.receivers.has(receiver);
  }

  isAnyPending(receivers: ReadonlySet<number>): boolean {
    if (this.pendingCount === 0) return false;
    for (const receiver of receivers) if (this.isPending(receiver)) return true;
    return false;
  }

  /**
   * The receiver has the first `segmentCount` segments of the block.
   * @returns whether this was the last that it lacked
   */
  clearThrough(receiver: number, segmentCount: number): boolean {
    if (!this.isPending(receiver)) return false;
    const low = 2 * receiver;
    this.missing[low] = (this.missing[low] as number) & ~lowBits(segmentCount);
    this.missing[low + 1] = (this.missing[low + 1] as number) & ~lowBits(segmentCount - 32);
    if (this.isPending(receiver)) return false;
    this.pendingCount--;
    return true;
  }
}

/** A batch more costs hosts and network about as much as so many segments that come for others. */
const segmentsPerBatchSaved = 8;

/** Blocks in flight, oldest first; finished ones are used again. */
export class BlockWindow<B extends Block = Block> {
  private readonly blocks: B[] = [];
  private readonly byIndex = new Map<number, B>();
  private readonly spare: B[] = [];

  constructor(private readonly create: () => B) {}

  /** Oldest first. */
  [Symbol.iterator](): IterableIterator<B> {
    return this.blocks[Symbol.iterator]();
  }

  get length(): number {
    return this.blocks.length;
  }

  get oldest(): B | undefined {
    return this.blocks[0];
  }

  /** Block by place, 0 for the oldest. */
  get(place: number): B {
    return at(this.blocks, place);
  }

  /** Block by index, if it is in flight. */
  find(blockIndex: number): B | undefined {
    return this.byIndex.get(blockIndex);
  }

  push(blockIndex: number, firstSequence: number, segmentCount: number): B {
    assert(!this.byIndex.has(blockIndex), 'a block is in flight once');
    const block = this.spare.pop() ?? this.create();
    block.reset(blockIndex, firstSequence, segmentCount);
    this.blocks.push(block);
    this.byIndex.set(blockIndex, block);
    return block;
  }

  dropOldest(): void {
    const block = this.blocks.shift();
    assert(block !== undefined, 'no block to drop');
    this.retire(block);
  }

  /** Lets go of every block that `isOver` says so of. */
  dropWhere(isOver: (block: B) => boolean): void {
    let kept = 0;
    for (const block of this.blocks) {
      if (isOver(block)) this.retire(block);
      else this.blocks[kept++] = block;
    }
    this.blocks.length = kept;
  }

  clear(): void {
    this.blocks.length = 0;
    this.byIndex.clear();
  }

  private retire(block: B): void {
    this.byIndex.delete(block.index);
    this.spare.push(block);
  }
}
