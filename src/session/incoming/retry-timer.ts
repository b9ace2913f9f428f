/** Schedules the repetitions of an unanswered message. The intervals grow up to a limit. */
import type { TimeMs } from '../../base/machine.js';
import { retryTiming } from '../../transfer/config.js';

export class RetryTimer {
  /** Time of the next repetition; Infinity if none is due. */
  dueAtMs: TimeMs = Infinity;
  private waitMs: number = retryTiming.firstMs;

  /** The message has been sent. */
  handleSent(nowMs: TimeMs): void {
    const { growth, maxMs } = retryTiming;
    this.dueAtMs = nowMs + this.waitMs;
    this.waitMs = Math.min(this.waitMs * growth, maxMs);
  }

  /** Handles the answer to the message. The intervals for the next message start at the minimum again. */
  stop(): void {
    this.dueAtMs = Infinity;
    this.waitMs = retryTiming.firstMs;
  }
}
