/**
 * The blocks in flight. Each block holds the packets to send, the segments that each receiver is missing, and
 * the deadline of its current round. With a single block of a single segment, the window implements
 * stop-and-wait.
 */

import { assert, at } from '../base/assert.js';
import { bitCount, hasBit, lowBits } from '../base/bit-masks.js';
import type { TimeMs } from '../base/machine.js';

/** One block in flight. Segments are numbered within the block. */
export class Block {
  index = 0;
  firstSequence = 0;
  segmentCount = 0;
  /** The packets of the block, encoded once. Retransmissions reuse them. */
  packets: Uint8Array[] = [];
  /** Number of receivers that miss at least one segment of the block. */
  pendingCount = 0;
  /** Number of rounds begun so far; 0 until the bytes of the block are available. */
  round = 0;
  /** Time at which the round ends; undefined before the first round and while a round is being sent. */
  deadlineMs: TimeMs | undefined;
  /**
   * Position in the round: the next receiver to send to, and the next segment. The multicast group follows
   * the last receiver.
   */
  nextReceiver = 0;
  nextSegment = 0;

  /** Receivers that the current round serves; undefined means all receivers. */
  private receivers: ReadonlySet<number> | undefined;
  /** Previous deadline. It still applies to receivers that the current round does not serve. */
  private othersDeadlineMs: TimeMs | undefined;

  /** Mask of the segments that the current round sends to the multicast group: low half, then high half. */
  private groupLow = 0;
  private groupHigh = 0;

  /**
   * Masks of the missing segments. Each receiver has two entries: the low half, then the high half of its
   * mask.
   */
  private readonly missing: Uint32Array;

  constructor(receiverCount: number) {
    this.missing = new Uint32Array(2 * receiverCount);
  }

  get hasBytes(): boolean {
    return this.packets.length > 0;
  }

  /** Whether a round has begun but has not been sent completely. */
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

  /**
   * @param receivers limits the round to these receivers; by default, the round serves every pending receiver
   */
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

  /** Records that the receiver misses the whole block. */
  setMissing(receiver: number): void {
    const count = this.segmentCount;
    this.setMissingSegments(receiver, lowBits(count), lowBits(count - 32));
  }

  /** Records that the receiver misses exactly the segments in this mask, given as its low and high half. */
  setMissingSegments(receiver: number, low: number, high: number): void {
    const wasPending = this.isPending(receiver);
    this.missing[2 * receiver] = low & lowBits(this.segmentCount);
    this.missing[2 * receiver + 1] = high & lowBits(this.segmentCount - 32);
    if (this.isPending(receiver) !== wasPending) this.pendingCount += wasPending ? -1 : 1;
  }

  /** Removes the segments outside this mask from the receiver's missing segments. */
  keepMissingSegments(receiver: number, low: number, high: number): void {
    const place = 2 * receiver;
    this.setMissingSegments(
      receiver,
      (this.missing[place] as number) & low,
      (this.missing[place + 1] as number) & high,
    );
  }

  /**
   * Number of segments that this round sends to the receiver by unicast, or to the group if `receiver` is
   * negative.
   */
  countToSend(receiver: number, isMember: boolean): number {
    return (
      bitCount(this.lowToSend(receiver, isMember)) + bitCount(this.highToSend(receiver, isMember))
    );
  }

  /** Number of segments in this mask that the receiver misses. */
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
   * Records that the round has been sent, and sets its deadline. The previous deadline still applies to
   * receivers outside the round. Otherwise, rounds for other receivers could postpone that deadline forever.
   */
  endSending(deadlineMs: TimeMs): void {
    this.deadlineMs = Math.min(deadlineMs, this.othersDeadlineMs ?? deadlineMs);
  }

  /**
   * Selects the segments that this round sends to the multicast group: those that at least two members miss.
   * Segments that only one member misses are sent by unicast, unless the additional batches cost more than
   * the other members would save. In that case, the group gets every missing segment.
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

  /** Whether this round sends any segment to the group. */
  get hasGroupPart(): boolean {
    return (this.groupLow | this.groupHigh) !== 0;
  }

  /**
   * Low half of the mask of segments that this round sends to a receiver by unicast, or to the group if
   * `receiver` is negative.
   * @param isMember whether the receiver also receives the segments that are sent to the group
   */
  lowToSend(receiver: number, isMember: boolean): number {
    if (receiver < 0) return this.groupLow;
    if (!this.isRoundFor(receiver)) return 0;
    return (this.missing[2 * receiver] as number) & (isMember ? ~this.groupLow : -1);
  }

  /** High half of the mask whose low half `lowToSend` returns. */
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
   * Records that the receiver has the first `segmentCount` segments of the block.
   * @returns whether this call completed the block for the receiver
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

/**
 * Approximate cost of one additional batch, as a number of segments delivered to receivers that do not need
 * them.
 */
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

  /** The block at this position in the window; 0 is the oldest block. */
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

  /** Drops every block for which `isOver` returns true. */
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
