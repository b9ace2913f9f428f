/**
 * Round-trip estimate and retransmission timeout of one receiver (RFC 6298), in milliseconds.
 *
 * Two things differ from TCP, for the reasons in PROTOCOL 4.3 and 4.4: the floor is below a millisecond,
 * not a second; and the backoff ends with the next answer, not only with the next sample, for among
 * many receivers somebody has nearly always just lost a packet.
 */
export interface RttLimits {
  /** Timeout before the first sample. */
  readonly initialMs: number;
  /** Margin over the smoothed round trip that the timeout keeps at least: G of RFC 6298, 2.3. */
  readonly granularityMs: number;
  /** Floor of the timeout. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Backoff lengthens the timeout no further than this. */
  readonly maxBackoffMs: number;
}

/** Smoothed round-trip time and retransmission timeout in milliseconds, after RFC 6298. */
export class RttEstimator {
  private smoothedMs: number | undefined;
  private variationMs = 0;
  private baseMs: number;
  private backoffFactor = 1;

  constructor(private readonly limits: RttLimits) {
    this.baseMs = limits.initialMs;
  }

  /** The smoothed round-trip time; undefined before the first sample. */
  get rttMs(): number | undefined {
    return this.smoothedMs;
  }

  /** What to wait for this receiver now, backoff included. */
  get timeoutMs(): number {
    const backedOffMs = Math.min(this.baseMs * this.backoffFactor, this.limits.maxBackoffMs);
    return Math.min(Math.max(this.baseMs, backedOffMs), this.limits.maxMs);
  }

  /** Takes in one measured round trip; the caller heeds Karn's rule (RFC 6298, 2.2, 2.3 and 3). */
  sample(rttMs: number): void {
    if (this.smoothedMs === undefined) {
      this.smoothedMs = rttMs;
      this.variationMs = rttMs / 2;
    } else {
      this.variationMs += (Math.abs(this.smoothedMs - rttMs) - this.variationMs) / 4;
      this.smoothedMs += (rttMs - this.smoothedMs) / 8;
    }
    const { minMs, granularityMs } = this.limits;
    this.baseMs = Math.max(minMs, this.smoothedMs + Math.max(granularityMs, 4 * this.variationMs));
    this.backoffFactor = 1;
  }

  /** A round's deadline passed without an answer: wait twice as long (RFC 6298, 5.5). */
  backOff(): void {
    if (this.baseMs * this.backoffFactor < this.limits.maxBackoffMs) this.backoffFactor *= 2;
  }

  /** The next round starts without backoff. */
  endBackoff(): void {
    this.backoffFactor = 1;
  }
}
