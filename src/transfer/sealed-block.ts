/** A block in flight in a session. It is sealed once, sent in bursts, and acknowledged by reports. */

import type { TimeMs } from '../base/machine.js';
import { SegmentSet, SegmentSets } from '../base/segment-set.js';
import { Block } from './block-window.js';
import { IndexedNumbers } from './indexed-numbers.js';

const none = -1;

export class SessionBlock extends Block {
  /**
   * Encoded datagrams of the block; undefined until the block is loaded, and for blocks that are not sent.
   */
  wire: Uint8Array | undefined;
  /** Whether the bytes of the block have been read, either to send the block or only for its digest. */
  isRead = false;
  /** The generation of the block, which is a part of its nonce. */
  generation = 0;
  /** Time at which the last datagram of the round was sent. */
  sentAtMs: TimeMs = 0;
  /** The number of receivers that owe feedback on this round. */
  awaitedCount = 0;
  private readonly awaited = new IndexedNumbers(0);
  /** Last burst that the current round sent to each receiver. */
  private readonly bursts = new IndexedNumbers(none);
  /** The segments that were sent to each receiver. */
  private readonly sent: SegmentSets;
  /** The segments of a burst that were sent before; used only by `noteBurst`. */
  private readonly repeated: SegmentSet;

  /**
   * @param maxSegments maximum number of segments in a block
   * @param awaitedBlocks number of blocks on which each receiver still owes feedback
   */
  constructor(
    maxSegments: number,
    private readonly awaitedBlocks = new IndexedNumbers(0),
  ) {
    super(maxSegments);
    this.sent = new SegmentSets(maxSegments);
    this.repeated = SegmentSet.withCapacity(maxSegments);
  }

  override get hasBytes(): boolean {
    return this.isRead;
  }

  override reset(index: number, firstSequence: number, segmentCount: number): void {
    super.reset(index, firstSequence, segmentCount);
    this.isRead = false;
    this.awaited.reset();
    this.awaitedCount = 0;
    this.sent.clear();
  }

  override beginRound(): void {
    super.beginRound();
    this.bursts.reset();
  }

  /**
   * Records that these segments were sent to a receiver in this burst.
   * @returns the number of these segments that are repairs: sent to the receiver before, but still missing
   */
  noteBurst(receiver: number, burst: number, segments: SegmentSet): number {
    this.bursts.set(receiver, burst);
    const { repeated } = this;
    const sent = this.sent.at(receiver);
    repeated.assign(sent);
    repeated.retainAll(segments);
    sent.addAll(segments);
    return repeated.isEmpty ? 0 : this.countMissing(receiver, repeated);
  }

  /** Whether any segment has been sent to the receiver. */
  wasSent(receiver: number): boolean {
    return !this.sent.at(receiver).isEmpty;
  }

  /** Marks the whole block as sent to the receiver earlier, so that sending it again counts as repair. */
  noteSentBefore(receiver: number): void {
    this.sent.at(receiver).fill(this.segmentCount);
  }

  /** Last burst that the round sent to a receiver; undefined if the round sent nothing to that receiver. */
  burstOf(receiver: number): number | undefined {
    const burst = this.bursts.get(receiver);
    return burst === none ? undefined : burst;
  }

  isAwaited(receiver: number): boolean {
    return this.awaited.get(receiver) === 1;
  }

  expectFeedback(receiver: number): void {
    if (this.isAwaited(receiver)) return;
    this.awaited.set(receiver, 1);
    this.awaitedCount++;
    this.awaitedBlocks.set(receiver, this.awaitedBlocks.get(receiver) + 1);
  }

  /** Records that the receiver's feedback has arrived or is no longer expected. */
  endFeedback(receiver: number): void {
    if (!this.isAwaited(receiver)) return;
    this.awaited.set(receiver, 0);
    this.awaitedCount--;
    this.awaitedBlocks.set(receiver, this.awaitedBlocks.get(receiver) - 1);
  }

  /** Records that no feedback is expected any longer. */
  endAllFeedback(): void {
    for (let i = 0; this.awaitedCount > 0; i++) this.endFeedback(i);
  }
}
