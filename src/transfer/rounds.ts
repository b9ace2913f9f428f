/**
 * Rounds of the blocks in flight: what goes out next and to whom, and when a round is over. Both
 * dialects send by these rounds; what an answer means, and what follows a deadline, is theirs.
 */

import { bitCount, lastBit, lowBits, lowestSet } from '../base/bit-masks.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import type { Block } from './block-window.js';
import { BlockWindow } from './block-window.js';

/** In a receiver's place: the segments go to the group, so to every receiver that hears it. */
export const toGroup = -1;

export interface RoundRules<B extends Block> {
  /** Whether a round that is on its way goes out whole before that of an older block does. */
  readonly isUninterrupted: boolean;
  /** How many segments may go out at once to one place. */
  batchLimit(): number;
  /**
   * The datagrams for these segments, a mask of them, low half first.
   * @param receiver an index, or `toGroup`
   */
  transmit(nowMs: TimeMs, block: B, receiver: number, low: number, high: number): Transmit;
  /** A round has been sent: how long it waits for its answers. */
  timeoutMs(nowMs: TimeMs, block: B): number;
  /** Whether a receiver has what is sent to the group. */
  isMulticastReachable(receiver: number): boolean;
}

export class Rounds<B extends Block = Block> {
  readonly window: BlockWindow<B>;
  /** What was sent last. Blocks are used again: it is still itself while its index is the same. */
  private current: B | undefined;
  private currentIndex = -1;

  constructor(
    private readonly receiverCount: number,
    createBlock: () => B,
    private readonly rules: RoundRules<B>,
  ) {
    this.window = new BlockWindow(createBlock);
  }

  /** The next datagram of the rounds that are being sent, the oldest block's first. */
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

  /** The block whose round is on its way. */
  get sending(): B | undefined {
    return this.current;
  }

  /** The next datagram of the round that is on its way. */
  continueRound(nowMs: TimeMs): Transmit | undefined {
    const { current, currentIndex, window } = this;
    if (current === undefined) return undefined;
    // Everyone may have it by now, so that it is gone: what was still to go out helps nobody.
    if (window.find(currentIndex) !== current) this.current = undefined;
    return this.current?.isSending === true ? this.nextOrEnd(nowMs, current) : undefined;
  }

  /** When the first round is over whose answers are awaited. */
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
   * Receiver after receiver gets what it alone lacks; then the group gets the rest. That comes last, so that
   * whoever hears the group has all of the round by its end.
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
    const { rules } = this;
    const from = block.nextSegment;
    const isMember = receiver !== toGroup && rules.isMulticastReachable(receiver);
    let low = block.lowToSend(receiver, isMember) & ~lowBits(from);
    let high = block.highToSend(receiver, isMember) & ~lowBits(from - 32);
    if ((low | high) === 0) return undefined;
    const limit = rules.batchLimit();
    const lowCount = bitCount(low);
    if (lowCount + bitCount(high) > limit) {
      low = lowestSet(low, limit);
      high = lowestSet(high, limit - lowCount);
    }
    block.nextSegment = lastBit(low, high) + 1;
    return rules.transmit(nowMs, block, receiver, low, high);
  }
}
