/** Spreads sending over time: it goes out at once, up to a few milliseconds' worth. */
import type { TimeMs } from '../base/machine.js';

/** What may go out in one go: timers do not fire more often than this. */
const burstMs = 2;

export class Pacer {
  /** When the time of all that was sent has passed. */
  nextAtMs: TimeMs = -Infinity;

  maySend(nowMs: TimeMs): boolean {
    return nowMs >= this.nextAtMs - burstMs;
  }

  /** @param takesMs what was sent takes so much of the time */
  handleSent(nowMs: TimeMs, takesMs: number): void {
    this.nextAtMs = Math.max(this.nextAtMs, nowMs) + takesMs;
  }
}
