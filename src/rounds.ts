/**
 * Rounds of the blocks in flight: what goes out next and to whom, and when a round is over. Both
 * dialects send by these rounds; what an answer means, and what follows a deadline, is theirs.
 */
import type { Block } from './block-window.js';
import { BlockWindow, lastBit, lowBits } from './block-window.js';
import type { TimeMs, Transmit } from './machine.js';

/** In a receiver's place: the segments go to the group, so to every receiver that hears it. */
export const toGroup = -1;

export interface RoundRules<B extends Block> {
  /** Whether a round that is on its way goes out whole before that of an older block does. */
  readonly isUninterrupted: boolean;
  /** Whether all that one receiver gets of a block in a round goes out at once; else one by one. */
  readonly sendsBatches: boolean;
  /**
   * The datagrams for these segments, a mask of them, low half first.
   * @param receiver an index, or `toGroup`
   */
  transmit(nowMs: TimeMs, block: B, receiver: number, low: number, high: number): Transmit;
  /** A round has been sent: how long it waits for its answers. */
  timeoutMs(nowMs: TimeMs, block: B): number;
  /** Whether a receiver has what is sent to the group. */
  hearsGroup(receiver: number): boolean;
}

export class Rounds<B extends Block = Block> {
  readonly window: BlockWindow<B>;
  /** What was sent last. */
  private current: B | undefined;

  constructor(
    private readonly receiverCount: number,
    createBlock: () => B,
    private readonly rules: RoundRules<B>,
  ) {
    this.window = new BlockWindow(createBlock);
  }

  /** The next datagram of the rounds that are being sent, the oldest block's first. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    const { current, window, rules } = this;
    if (rules.isUninterrupted && current?.isSending === true) {
      const transmit = this.continueRound(nowMs, current);
      if (transmit !== undefined) return transmit;
    }
    for (const block of window) {
      if (!block.isSending) continue;
      this.current = block;
      const transmit = this.continueRound(nowMs, block);
      if (transmit !== undefined) return transmit;
    }
    return undefined;
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

  private continueRound(nowMs: TimeMs, block: B): Transmit | undefined {
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
    const isMember = receiver !== toGroup && rules.hearsGroup(receiver);
    let low = block.lowToSend(receiver, isMember) & ~lowBits(from);
    let high = block.highToSend(receiver, isMember) & ~lowBits(from - 32);
    if ((low | high) === 0) return undefined;
    if (!rules.sendsBatches) {
      if (low !== 0) high = 0;
      low &= -low;
      high &= -high;
    }
    block.nextSegment = lastBit(low, high) + 1;
    return rules.transmit(nowMs, block, receiver, low, high);
  }
}
