/**
 * The blocks in flight. Each block holds the packets to send, the segments that each receiver is missing, and
 * the deadline of its current round. With a single block of a single segment, the window implements
 * stop-and-wait.
 */

import { assert, at } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { SegmentSet, SegmentSets } from '../base/segment-set.js';

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

  /** The segments that the current round sends to the multicast group. */
  private readonly group: SegmentSet;
  /** The segments that at least one member of the group misses; used only by `sendToGroup`. */
  private readonly wanted: SegmentSet;
  /** The segments that each receiver misses. */
  private readonly missing: SegmentSets;

  /** @param maxSegments maximum number of segments in a block */
  constructor(maxSegments: number) {
    this.group = SegmentSet.withCapacity(maxSegments);
    this.wanted = SegmentSet.withCapacity(maxSegments);
    this.missing = new SegmentSets(maxSegments);
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
    this.missing.clear();
  }

  /**
   * @param receivers limits the round to these receivers; by default, the round serves every pending receiver
   */
  beginRound(receivers?: ReadonlySet<number>): void {
    this.round++;
    this.receivers = receivers;
    this.othersDeadlineMs = receivers === undefined ? undefined : this.deadlineMs;
    this.deadlineMs = undefined;
    this.group.clear();
    this.nextReceiver = 0;
    this.nextSegment = 0;
  }

  /** Records that the receiver misses the whole block. */
  setMissing(receiver: number): void {
    const missing = this.missing.at(receiver);
    if (missing.isEmpty) this.pendingCount++;
    missing.fill(this.segmentCount);
  }

  /** Records that the receiver misses exactly these segments. */
  setMissingSegments(receiver: number, segments: SegmentSet): void {
    const missing = this.missing.at(receiver);
    const wasPending = !missing.isEmpty;
    missing.assign(segments);
    missing.deleteFrom(this.segmentCount);
    this.countPending(wasPending, missing);
  }

  /** Removes the segments outside this set from the receiver's missing segments. */
  keepMissingSegments(receiver: number, segments: SegmentSet): void {
    const missing = this.missing.at(receiver);
    const wasPending = !missing.isEmpty;
    missing.retainAll(segments);
    this.countPending(wasPending, missing);
  }

  /** Records that the receiver misses no segment. */
  clearMissing(receiver: number): void {
    const missing = this.missing.at(receiver);
    if (!missing.isEmpty) this.pendingCount--;
    missing.clear();
  }

  private countPending(wasPending: boolean, missing: SegmentSet): void {
    if (missing.isEmpty === wasPending) this.pendingCount += wasPending ? -1 : 1;
  }

  /**
   * Number of segments that this round sends to the receiver by unicast, or to the group if `receiver` is
   * negative.
   */
  countToSend(receiver: number, isMember: boolean): number {
    if (receiver < 0) return this.group.size;
    if (!this.isRoundFor(receiver)) return 0;
    const missing = this.missing.at(receiver);
    return isMember ? missing.size - missing.countIn(this.group) : missing.size;
  }

  /** Number of segments in this set that the receiver misses. */
  countMissing(receiver: number, segments: SegmentSet): number {
    return this.missing.at(receiver).countIn(segments);
  }

  isMissing(receiver: number, segment: number): boolean {
    return this.missing.at(receiver).has(segment);
  }

  isPending(receiver: number): boolean {
    return !this.missing.at(receiver).isEmpty;
  }

  /**
   * Records that the round has been sent, and sets its deadline. The previous deadline still applies to
   * receivers outside the round. Otherwise, rounds for other receivers could postpone that deadline forever.
   */
  endSending(deadlineMs: TimeMs): void {
    this.deadlineMs = Math.min(deadlineMs, this.othersDeadlineMs ?? deadlineMs);
  }

  /** Waits for the answers to the round without a deadline from now on. */
  setOverdue(): void {
    this.deadlineMs = Infinity;
  }

  /** Whether the deadline of the round has passed, and answers are still missing. */
  get isOverdue(): boolean {
    return this.deadlineMs === Infinity;
  }

  /**
   * Selects the segments that this round sends to the multicast group: those that at least two members miss.
   * Segments that only one member misses are sent by unicast, unless the additional batches cost more than
   * the other members would save. In that case, the group gets every missing segment.
   * @param members the receivers that can be reached by multicast
   */
  sendToGroup(members: readonly number[]): void {
    const { group, wanted } = this;
    wanted.clear();
    for (const receiver of members) {
      if (!this.isRoundFor(receiver)) continue;
      const missing = this.missing.at(receiver);
      group.addAllInBoth(wanted, missing);
      wanted.addAll(missing);
    }
    let batchCount = group.isEmpty ? 0 : 1;
    for (const receiver of members) if (this.countToSend(receiver, true) > 0) batchCount++;
    const ownCount = wanted.size - group.size;
    if (ownCount <= (batchCount - 1) * segmentsPerBatchSaved) group.assign(wanted);
  }

  /** Whether this round sends any segment to the group. */
  get hasGroupPart(): boolean {
    return !this.group.isEmpty;
  }

  /**
   * Makes `into` the set of the segments that this round sends to a receiver by unicast, or to the group if
   * `receiver` is negative.
   * @param isMember whether the receiver also receives the segments that are sent to the group
   */
  selectToSend(receiver: number, isMember: boolean, into: SegmentSet): void {
    if (receiver < 0) {
      into.assign(this.group);
    } else if (!this.isRoundFor(receiver)) {
      into.clear();
    } else {
      into.assign(this.missing.at(receiver));
      if (isMember) into.deleteAll(this.group);
    }
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
    const missing = this.missing.at(receiver);
    if (missing.isEmpty) return false;
    missing.deleteBelow(segmentCount);
    if (!missing.isEmpty) return false;
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
