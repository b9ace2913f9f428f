/**
 * Rounds of the blocks in flight. A round determines what to send next, to whom, and when to stop waiting for
 * answers. Both protocols use this module. Each protocol interprets answers and handles deadlines itself.
 */

import type { TimeMs } from '../base/machine.js';
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
  /** Number of receivers, which can grow. */
  receiverCount(): number;
  /** Maximum number of segments that are sent to one destination in one batch. */
  batchLimit(): number;
  /** Time for which a completely sent round waits for its answers. */
  timeoutMs(nowMs: TimeMs, block: B): number;
  /** Whether multicast data reaches the receiver. */
  isMulticastReachable(receiver: number): boolean;
}

/** The next part of a round: segments of one block for one destination. */
export interface RoundPart<B extends Block = Block> {
  readonly block: B;
  /** The index of a receiver, or `toGroup`. */
  readonly receiver: number;
  /** A set that changes with the next part. */
  readonly segments: SegmentSet;
}

/** The turn of the group comes after that of all receivers. */
const groupTurn = Infinity;

export class Rounds<B extends Block = Block> {
  readonly window: BlockWindow<B>;
  /**
   * The block that was sent last. Block objects are reused: `currentIndex` shows whether the object still
   * holds that block.
   */
  private current: B | undefined;
  private currentIndex = -1;
  /** The last part that was returned. */
  private part: (RoundPart<B> & { block: B; receiver: number }) | undefined;

  /** @param createBlock creates a block that is not in flight */
  constructor(
    createBlock: () => B,
    private readonly rules: RoundRules<B>,
  ) {
    this.window = new BlockWindow(createBlock);
  }

  /** The next part of the rounds being sent, oldest block first. It is valid until the next call. */
  next(nowMs: TimeMs): RoundPart<B> | undefined {
    const part = this.rules.isUninterrupted ? this.continueRound(nowMs) : undefined;
    if (part !== undefined) return part;
    for (const block of this.window) {
      if (!block.isSending) continue;
      this.current = block;
      this.currentIndex = block.index;
      const next = this.nextOrEnd(nowMs, block);
      if (next !== undefined) return next;
    }
    return undefined;
  }

  /** The next part of the current round. */
  continueRound(nowMs: TimeMs): RoundPart<B> | undefined {
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

  /** The blocks whose rounds have passed their deadline. From now on, these rounds have no deadline. */
  takeOverdue(nowMs: TimeMs): B[] {
    const overdue: B[] = [];
    for (const block of this.window) {
      if (block.deadlineMs === undefined || block.deadlineMs > nowMs) continue;
      block.setOverdue();
      overdue.push(block);
    }
    return overdue;
  }

  private nextOrEnd(nowMs: TimeMs, block: B): RoundPart<B> | undefined {
    const part = this.nextOfRound(block);
    if (part === undefined) block.endSending(nowMs + this.rules.timeoutMs(nowMs, block));
    return part;
  }

  /**
   * Sends each receiver its unicast segments, then sends the remaining segments to the group. The group comes
   * last. When the burst to the group ends, its members have thus been sent the whole round.
   */
  private nextOfRound(block: B): RoundPart<B> | undefined {
    const receiverCount = this.rules.receiverCount();
    for (; block.nextReceiver < receiverCount; block.nextReceiver++, block.nextSegment = 0) {
      const part = this.nextFor(block, block.nextReceiver);
      if (part !== undefined) return part;
    }
    if (block.nextReceiver !== groupTurn) {
      block.nextReceiver = groupTurn;
      block.nextSegment = 0;
    }
    return this.nextFor(block, toGroup);
  }

  private nextFor(block: B, receiver: number): RoundPart<B> | undefined {
    const { rules } = this;
    this.part ??= { block, receiver, segments: SegmentSet.withCapacity(rules.maxSegments) };
    const { segments } = this.part;
    const isMember = receiver !== toGroup && rules.isMulticastReachable(receiver);
    block.selectToSend(receiver, isMember, segments);
    segments.deleteBelow(block.nextSegment);
    if (segments.isEmpty) return undefined;
    segments.keepLowest(rules.batchLimit());
    block.nextSegment = segments.last + 1;
    this.part.block = block;
    this.part.receiver = receiver;
    return this.part;
  }
}
