/** Spreads sending over time, in bursts of at most a few milliseconds' worth of data. */
import type { TimeMs } from '../base/machine.js';

/** Maximum length of a burst: about the shortest interval at which timers can fire. */
const burstMs = 2;

interface Spacing {
  /** Time at which everything sent so far would have left if it had been spaced evenly at the pace. */
  untilMs: TimeMs;
}

/**
 * A limit on the rate of all that is sent under it, by one session or by several.
 * @example
 * ```ts
 * import { RateLimit } from 'p2mp';
 *
 * // The option `rateLimit` of several `SessionSender`s: together they send 50 MB/s.
 * const rateLimit = new RateLimit(50_000_000);
 * console.log(rateLimit.bytesPerSec); // 50000000
 * ```
 */
export class RateLimit {
  private readonly spacing: Spacing = { untilMs: -Infinity };

  private nowBytesPerSec: number;

  /**
   * @param maxBytesPerSec Infinity for no limit
   * @param creditMs for how long a host that is late may make up for it by a burst; 0 by default
   */
  constructor(
    private readonly maxBytesPerSec: number,
    private readonly creditMs = 0,
  ) {
    this.nowBytesPerSec = maxBytesPerSec;
  }

  get bytesPerSec(): number {
    return this.nowBytesPerSec;
  }

  /** Lowers the limit below what it was made with, until the next call. */
  lowerTo(bytesPerSec: number): void {
    this.nowBytesPerSec = Math.min(bytesPerSec, this.maxBytesPerSec);
  }

  /** @returns a pacer that counts what others send under this limit */
  createPacer(): Pacer {
    return new Pacer(this.spacing, this.creditMs);
  }

  /** The time that data of this size takes. */
  timeMsOf(sizeBytes: number): number {
    return (sizeBytes * 1000) / this.bytesPerSec;
  }
}

export class Pacer {
  private isWaiting = false;

  constructor(
    private readonly spacing: Spacing = { untilMs: -Infinity },
    private readonly creditMs = 0,
  ) {}

  maySend(nowMs: TimeMs): boolean {
    this.isWaiting = nowMs < this.spacing.untilMs - burstMs;
    return !this.isWaiting;
  }

  /** @param takesMs the time that the sent data takes at the current pace */
  handleSent(nowMs: TimeMs, takesMs: number): void {
    this.spacing.untilMs = Math.max(this.spacing.untilMs, nowMs - this.creditMs) + takesMs;
  }

  /** If `maySend` last forbade sending: the time at which sending continues. Infinity otherwise. */
  get nextSendAtMs(): TimeMs {
    return this.isWaiting ? this.spacing.untilMs : Infinity;
  }

  /** Ends a wait that is over. No further timer is then needed, even if a busy host sends later. */
  handleTimeout(nowMs: TimeMs): void {
    if (nowMs >= this.spacing.untilMs) this.isWaiting = false;
  }
}
