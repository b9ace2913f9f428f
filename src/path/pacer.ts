/** Spreads sending over time, in bursts of at most a few milliseconds' worth of data. */
import type { TimeMs } from '../base/machine.js';

/** Maximum length of a burst: about the shortest interval at which timers can fire. */
const burstMs = 2;

export class Pacer {
  /** Time at which everything sent so far would have left if it had been spaced evenly at the pace. */
  nextAtMs: TimeMs = -Infinity;

  maySend(nowMs: TimeMs): boolean {
    return nowMs >= this.nextAtMs - burstMs;
  }

  /** @param takesMs the time that the sent data takes at the current pace */
  handleSent(nowMs: TimeMs, takesMs: number): void {
    this.nextAtMs = Math.max(this.nextAtMs, nowMs) + takesMs;
  }
}
