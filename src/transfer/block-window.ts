/**
 * The blocks in flight. Each block holds the packets to send, the segments that each receiver is missing, and the
 * deadline of its round. Stop-and-wait is a window of one block of one segment.
 */

import { assert, at } from '../base/assert.js';
import { bitCount, hasBit, lowBits } from '../base/bit-masks.js';
import type { TimeMs } from '../base/machine.js';

/** One block in flight. Segments are numbered within the block. */
export class Block {
  index = 0;
  firstSequence = 0;
  segmentCount = 0;
  /** The packets of the block, which are encoded once and sent any number of times. */
  packets: Uint8Array[] = [];
  /** Receivers that miss any segment of the block. */
  pendingCount = 0;
  /** The number of rounds begun; 0 until the bytes of the block are available. */
  round = 0;
  /** When the round ends; undefined while it is being sent. */
  deadlineMs: TimeMs | undefined;
  /** The receiver and the segment with which the round continues. The group comes after the last receiver. */
  nextReceiver = 0;
  nextSegment = 0;

  /** The receivers of the round; undefined for all. */
  private receivers: ReadonlySet<number> | undefined;
  /** The deadline of the receivers that are not part of this round. */
  private othersDeadlineMs: TimeMs | undefined;

  /** A mask of the segments of this round that go to the group, low half first. */
  private groupLow = 0;
  private groupHigh = 0;

  /** Two masks for each receiver, low half first. If bit i is set, segment i is missing. */
  private readonly missing: Uint32Array;

  constructor(receiverCount: number) {
    this.missing = new Uint32Array(2 * receiverCount);
  }

  get hasBytes(): boolean {
    return this.packets.length > 0;
  }

  /** Whether a round has begun and is not fully sent. */
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

  /** @param receivers the round is for the pending ones among these; for all pending ones if omitted */
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

  /** The receiver misses the whole block. */
  setMissing(receiver: number): void {
    const count = this.segmentCount;
    this.setMissingSegments(receiver, lowBits(count), lowBits(count - 32));
  }

  /** The receiver misses these segments, low half first, and no others. */
  setMissingSegments(receiver: number, low: number, high: number): void {
    const wasPending = this.isPending(receiver);
    this.missing[2 * receiver] = low & lowBits(this.segmentCount);
    this.missing[2 * receiver + 1] = high & lowBits(this.segmentCount - 32);
    if (this.isPending(receiver) !== wasPending) this.pendingCount += wasPending ? -1 : 1;
  }

  /** The receiver still misses these segments (low half first) if it missed them before, and no others. */
  keepMissingSegments(receiver: number, low: number, high: number): void {
    const place = 2 * receiver;
    this.setMissingSegments(
      receiver,
      (this.missing[place] as number) & low,
      (this.missing[place + 1] as number) & high,
    );
  }

  /** How many segments of this round go to a receiver by unicast, or to the group if `receiver` is negative. */
  countToSend(receiver: number, isMember: boolean): number {
    return (
      bitCount(this.lowToSend(receiver, isMember)) + bitCount(this.highToSend(receiver, isMember))
    );
  }

  /** How many of these segments the receiver misses. */
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
   * The round has been sent and ends at this time. Receivers outside the round keep their earlier deadline, because
   * rounds for others could otherwise postpone it forever.
   */
  endSending(deadlineMs: TimeMs): void {
    this.deadlineMs = Math.min(deadlineMs, this.othersDeadlineMs ?? deadlineMs);
  }

  /**
   * Decides which segments of this round go to the group: those that several members miss. A segment that only one
   * member misses goes to that member by unicast, unless the extra batches cost more than they save the other members.
   * @param members the receivers that can be reached by multicast
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

  /** Whether any segment of this round goes to the group. */
  get hasGroupPart(): boolean {
    return (this.groupLow | this.groupHigh) !== 0;
  }

  /**
   * The low half of the segments that go to one receiver by unicast, or to the group if `receiver` is negative.
   * @param isMember whether the receiver also gets the group's part
   */
  lowToSend(receiver: number, isMember: boolean): number {
    if (receiver < 0) return this.groupLow;
    if (!this.isRoundFor(receiver)) return 0;
    return (this.missing[2 * receiver] as number) & (isMember ? ~this.groupLow : -1);
  }

  /** The high half of the mask that `lowToSend` returns. */
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
   * @returns whether this call completed the block at the receiver
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

/** One more batch costs hosts and the network about as much as this many segments that a receiver does not need. */
const segmentsPerBatchSaved = 8;

/** The blocks in flight, oldest first. Finished block objects are reused for later blocks. */
export class BlockWindow<B extends Block = Block> {
  private readonly blocks: B[] = [];
  private readonly byIndex = new Map<number, B>();
  private readonly spare: B[] = [];

  constructor(private readonly create: () => B) {}

  /** Iterates over the blocks, oldest first. */
  [Symbol.iterator](): IterableIterator<B> {
    return this.blocks[Symbol.iterator]();
  }

  get length(): number {
    return this.blocks.length;
  }

  get oldest(): B | undefined {
    return this.blocks[0];
  }

  /** The block at a position, 0 for the oldest. */
  get(place: number): B {
    return at(this.blocks, place);
  }

  /** The block with this index, if it is in flight. */
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

  /** Drops every block for which `isOver` is true. */
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
