/** Spreads sending over time, in bursts of at most a few milliseconds' worth of data. */
import type { TimeMs } from '../base/machine.js';

/** Maximum length of a burst: about the shortest interval at which timers can fire. */
const burstMs = 2;

export class Pacer {
  /** Time at which everything sent so far would have left if it had been spaced evenly at the pace. */
  private spacedUntilMs: TimeMs = -Infinity;
  private isWaiting = false;

  maySend(nowMs: TimeMs): boolean {
    this.isWaiting = nowMs < this.spacedUntilMs - burstMs;
    return !this.isWaiting;
  }

  /** @param takesMs the time that the sent data takes at the current pace */
  handleSent(nowMs: TimeMs, takesMs: number): void {
    this.spacedUntilMs = Math.max(this.spacedUntilMs, nowMs) + takesMs;
  }

  /** If `maySend` last forbade sending: the time at which sending continues. Infinity otherwise. */
  get nextSendAtMs(): TimeMs {
    return this.isWaiting ? this.spacedUntilMs : Infinity;
  }

  /** Ends a wait that is over. No further timer is then needed, even if a busy host sends later. */
  handleTimeout(nowMs: TimeMs): void {
    if (nowMs >= this.spacedUntilMs) this.isWaiting = false;
  }
}
