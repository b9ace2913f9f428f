/**
 * Rounds of the blocks in flight: what goes out next and to whom, and when a round is over. Both
 * dialects send by these rounds; what an answer means, and what follows a deadline, is theirs.
 */
import type { Block } from './block-window.js';
import { BlockWindow } from './block-window.js';
import type { TimeMs, Transmit } from './machine.js';

/** In a receiver's place: the segment goes to the group, so to every receiver that hears it. */
export const toGroup = -1;

export interface RoundRules {
  /** The datagram for this segment; `receiver` is an index or `toGroup`. */
  transmit(nowMs: TimeMs, block: Block, segment: number, receiver: number): Transmit;
  /** A round has been sent: how long it waits for its answers. */
  timeoutMs(nowMs: TimeMs, block: Block): number;
  /** Whether a receiver has what is sent to the group. */
  hearsGroup(receiver: number): boolean;
}

export class Rounds {
  readonly window: BlockWindow;

  constructor(
    private readonly receiverCount: number,
    private readonly rules: RoundRules,
  ) {
    this.window = new BlockWindow(receiverCount);
  }

  /** The next datagram of the oldest round that is still being sent. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    for (const block of this.window) {
      if (!block.isSending) continue;
      const transmit = this.nextOfRound(nowMs, block);
      if (transmit !== undefined) return transmit;
      block.endSending(nowMs + this.rules.timeoutMs(nowMs, block));
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

  /** A segment goes to everyone who lacks it, then the next one does. */
  private nextOfRound(nowMs: TimeMs, block: Block): Transmit | undefined {
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
