/**
 * Rounds of the blocks in flight: what goes out next and to whom, and when a round is over. Both
 * dialects send by these rounds; what an answer means, and what follows a deadline, is theirs.
 */
import type { Block } from './block-window.js';
import { BlockWindow } from './block-window.js';
import type { TimeMs, Transmit } from './machine.js';

/** In a receiver's place: the segment goes to the group, so to every receiver that hears it. */
export const toGroup = -1;

export interface RoundRules<B extends Block> {
  /** Whether a round that is on its way goes out whole before that of an older block does. */
  readonly isUninterrupted: boolean;
  /** The datagram for this segment; `receiver` is an index or `toGroup`. */
  transmit(nowMs: TimeMs, block: B, segment: number, receiver: number): Transmit;
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
    const transmit = this.rules.isUninterrupted ? this.continueRound(nowMs) : undefined;
    if (transmit !== undefined) return transmit;
    for (const block of this.window) {
      if (!block.isSending) continue;
      this.current = block;
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
    const { current } = this;
    return current?.isSending === true ? this.nextOrEnd(nowMs, current) : undefined;
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

  /** A segment goes to everyone who lacks it, then the next one does. */
  private nextOfRound(nowMs: TimeMs, block: B): Transmit | undefined {
    const { receiverCount, rules } = this;
    for (; block.nextSegment < block.segmentCount; block.nextSegment++) {
      const segment = block.nextSegment;
      const isForGroup = block.isForGroup(segment);
      if (block.nextReceiver === toGroup) {
        block.nextReceiver = 0;
        if (isForGroup) return rules.transmit(nowMs, block, segment, toGroup);
      }
      while (block.nextReceiver < receiverCount) {
        const receiver = block.nextReceiver++;
        if (!block.isRoundFor(receiver) || !block.isLacking(receiver, segment)) continue;
        if (isForGroup && rules.hearsGroup(receiver)) continue;
        return rules.transmit(nowMs, block, segment, receiver);
      }
      block.nextReceiver = toGroup;
    }
    return undefined;
  }
}
