/**
 * Rounds of the blocks in flight. A round determines what to send next, to whom, and when to stop waiting for
 * answers. Both protocols use this module. Each protocol interprets answers and handles deadlines itself.
 */

import type { TimeMs, Transmit } from '../base/machine.js';
import { SegmentSet } from '../base/segment-set.js';
import type { Block } from './block-window.js';
import { BlockWindow } from './block-window.js';

/** A receiver index that stands for the multicast group. */
export const toGroup = -1;

export interface RoundRules<B extends Block> {
  /** Maximum number of segments in a block. */
  readonly maxSegments: number;
  /**
   * Whether a round that has begun is sent completely before any other round, even that of an older block.
   */
  readonly isUninterrupted: boolean;
  /** Maximum number of segments that are sent to one destination in one batch. */
  batchLimit(): number;
  /**
   * Encodes segments of a block.
   * @param receiver the index of a receiver, or `toGroup`
   * @param segments a set that changes after the call
   */
  transmit(nowMs: TimeMs, block: B, receiver: number, segments: SegmentSet): Transmit;
  /** Time for which a completely sent round waits for its answers. */
  timeoutMs(nowMs: TimeMs, block: B): number;
  /** Whether multicast data reaches the receiver. */
  isMulticastReachable(receiver: number): boolean;
}

export class Rounds<B extends Block = Block> {
  readonly window: BlockWindow<B>;
  /**
   * The block that was sent last. Block objects are reused: `currentIndex` shows whether the object still
   * holds that block.
   */
  private current: B | undefined;
  private currentIndex = -1;
  /** The segments of the next batch. */
  private readonly batch: SegmentSet;

  constructor(
    private readonly receiverCount: number,
    createBlock: () => B,
    private readonly rules: RoundRules<B>,
  ) {
    this.batch = SegmentSet.withCapacity(rules.maxSegments);
    this.window = new BlockWindow(createBlock);
  }

  /** The next batch of the rounds being sent, oldest block first. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    const transmit = this.rules.isUninterrupted ? this.continueRound(nowMs) : undefined;
    if (transmit !== undefined) return transmit;
    for (const block of this.window) {
      if (!block.isSending) continue;
      this.current = block;
      this.currentIndex = block.index;
      const next = this.nextOrEnd(nowMs, block);
      if (next !== undefined) return next;
    }
    return undefined;
  }

  /** The block whose round is being sent. */
  get sending(): B | undefined {
    return this.current;
  }

  /** The next batch of the current round. */
  continueRound(nowMs: TimeMs): Transmit | undefined {
    const { current, currentIndex, window } = this;
    if (current === undefined) return undefined;
    // If the block was completed and dropped in the meantime, no receiver needs the rest of its round.
    if (window.find(currentIndex) !== current) this.current = undefined;
    return this.current?.isSending === true ? this.nextOrEnd(nowMs, current) : undefined;
  }

  /** The earliest deadline of the rounds that wait for answers. */
  get earliestDeadlineMs(): TimeMs | undefined {
    let earliestMs: TimeMs | undefined;
    for (const { deadlineMs } of this.window) {
      if (deadlineMs !== undefined && (earliestMs === undefined || deadlineMs < earliestMs)) {
        earliestMs = deadlineMs;
      }
    }
    return earliestMs;
  }

  private nextOrEnd(nowMs: TimeMs, block: B): Transmit | undefined {
    const transmit = this.nextOfRound(nowMs, block);
    if (transmit === undefined) block.endSending(nowMs + this.rules.timeoutMs(nowMs, block));
    return transmit;
  }

  /**
   * Sends each receiver its unicast segments, then sends the remaining segments to the group. The group comes
   * last. When the burst to the group ends, its members have thus been sent the whole round.
   */
  private nextOfRound(nowMs: TimeMs, block: B): Transmit | undefined {
    const { receiverCount } = this;
    for (; block.nextReceiver <= receiverCount; block.nextReceiver++, block.nextSegment = 0) {
      const isGroup = block.nextReceiver === receiverCount;
      const receiver = isGroup ? toGroup : block.nextReceiver;
      const transmit = this.nextFor(nowMs, block, receiver);
      if (transmit !== undefined) return transmit;
    }
    return undefined;
  }

  private nextFor(nowMs: TimeMs, block: B, receiver: number): Transmit | undefined {
    const { rules, batch } = this;
    const isMember = receiver !== toGroup && rules.isMulticastReachable(receiver);
    block.selectToSend(receiver, isMember, batch);
    batch.deleteBelow(block.nextSegment);
    if (batch.isEmpty) return undefined;
    batch.keepLowest(rules.batchLimit());
    block.nextSegment = batch.last + 1;
    return rules.transmit(nowMs, block, receiver, batch);
  }
}
