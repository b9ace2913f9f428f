/**
 * Limits of one receiver's RTT estimate and retransmission timeout (RFC 6298), in milliseconds.
 *
 * Two rules differ from TCP; PROTOCOL 4.3 and 4.4 give the reasons. First, the minimum timeout can be far
 * below a second. Second, the next ACK ends the backoff, even if it gives no RTT sample. With many receivers,
 * one of them has nearly always just lost a packet, and its long timeout would delay the round.
 */
export interface RttLimits {
  /** Timeout before the first sample. */
  readonly initialMs: number;
  /** Minimum margin of the timeout over the smoothed RTT (G in RFC 6298, 2.3). */
  readonly granularityMs: number;
  /** Minimum timeout. */
  readonly minMs: number;
  readonly maxMs: number;
  /** Maximum timeout that backoff can cause. */
  readonly maxBackoffMs: number;
}

/**
 * Estimates the smoothed RTT and the retransmission timeout in milliseconds (RFC 6298).
 * @example
 * ```ts
 * import { RttEstimator } from 'p2mp/core';
 *
 * const limits = { initialMs: 1000, granularityMs: 1, minMs: 2, maxMs: 10_000, maxBackoffMs: 10_000 };
 * const rtt = new RttEstimator(limits);
 * rtt.sample(40);
 * console.log(rtt.rttMs, rtt.timeoutMs); // 40 120
 * rtt.backOff();
 * console.log(rtt.timeoutMs); // 240
 * ```
 */
export class RttEstimator {
  private smoothedMs: number | undefined;
  private variationMs = 0;
  private baseMs: number;
  private backoffFactor = 1;

  constructor(private readonly limits: RttLimits) {
    this.baseMs = limits.initialMs;
  }

  /** The smoothed RTT; undefined before the first sample. */
  get rttMs(): number | undefined {
    return this.smoothedMs;
  }

  /** The current retransmission timeout, including backoff. */
  get timeoutMs(): number {
    const backedOffMs = Math.min(this.baseMs * this.backoffFactor, this.limits.maxBackoffMs);
    return Math.min(Math.max(this.baseMs, backedOffMs), this.limits.maxMs);
  }

  /** Adds an RTT sample (RFC 6298, sections 2.2 and 2.3). The caller applies Karn's rule (section 3). */
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

  /** Doubles the timeout after a round that timed out (RFC 6298, 5.5), up to the limit for backoff. */
  backOff(): void {
    if (this.baseMs * this.backoffFactor < this.limits.maxBackoffMs) this.backoffFactor *= 2;
  }

  /** Resets the backoff for the next round. */
  endBackoff(): void {
    this.backoffFactor = 1;
  }
}
