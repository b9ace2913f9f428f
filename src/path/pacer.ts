/** Spreads sending over time, in bursts of at most a few milliseconds' worth of data. */
import type { TimeMs } from '../base/machine.js';

/** The longest burst. Timers do not fire more often than this. */
const burstMs = 2;

export class Pacer {
  /** When everything sent so far has used up its time. */
  nextAtMs: TimeMs = -Infinity;

  maySend(nowMs: TimeMs): boolean {
    return nowMs >= this.nextAtMs - burstMs;
  }

  /** @param takesMs the time that the sent data takes at the current pace */
  handleSent(nowMs: TimeMs, takesMs: number): void {
    this.nextAtMs = Math.max(this.nextAtMs, nowMs) + takesMs;
  }
}
