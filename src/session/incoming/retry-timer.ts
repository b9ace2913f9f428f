/** When to repeat a message that has not been answered. The waits grow up to a limit. */
import type { TimeMs } from '../../base/machine.js';
import { retryTiming } from '../../transfer/config.js';

export class RetryTimer {
  /** When to repeat the message; Infinity if it need not be repeated. */
  dueAtMs: TimeMs = Infinity;
  private waitMs: number = retryTiming.firstMs;

  /** The message has been sent. */
  handleSent(nowMs: TimeMs): void {
    const { growth, maxMs } = retryTiming;
    this.dueAtMs = nowMs + this.waitMs;
    this.waitMs = Math.min(this.waitMs * growth, maxMs);
  }

  /** The message was answered. The waits for the next message begin with the shortest one. */
  stop(): void {
    this.dueAtMs = Infinity;
    this.waitMs = retryTiming.firstMs;
  }
}
