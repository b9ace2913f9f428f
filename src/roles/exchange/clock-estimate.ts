/**
 * Estimates the clock of another host from messages to and fro (SESSIONS 11.4), as NTP does: the clocks are compared
 * under the assumption that both ways take the same time, which is wrong by half the round trip at most.
 */
import type { TimeMs } from '../../base/machine.js';
import type { ExchangeEcho } from '../../wire/exchange.js';

/** Clocks drift apart by at most this much; quartz is better. */
const driftPerMs = 1e-4;

interface Sample {
  readonly atMs: TimeMs;
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

export class ClockEstimate {
  private best: Sample | undefined;

  /**
   * Takes the times of a message.
   * @param sentAtMs when the other side sent it, by its clock
   * @param echo when the message that it answers was sent, by this side's clock, and when it arrived, by the other's
   */
  sample(nowMs: TimeMs, sentAtMs: number, echo: ExchangeEcho): void {
    const tripMs = nowMs - echo.sentAtMs - (sentAtMs - echo.arrivedAtMs);
    if (!(tripMs >= 0)) return;
    const offsetMs = (echo.arrivedAtMs - echo.sentAtMs + (sentAtMs - nowMs)) / 2;
    const uncertaintyMs = tripMs / 2;
    if (this.best === undefined || uncertaintyMs <= this.uncertaintyMs(nowMs))
      this.best = { atMs: nowMs, offsetMs, uncertaintyMs };
  }

  /** Whether anything is known of the other clock. */
  get isKnown(): boolean {
    return this.best !== undefined;
  }

  /** What to add to this side's time to get that of the other one; 0 until it is known. */
  get offsetMs(): number {
    return this.best?.offsetMs ?? 0;
  }

  /** By how much the offset may be wrong; infinite until it is known. */
  uncertaintyMs(nowMs: TimeMs): number {
    const { best } = this;
    return best === undefined ? Infinity : best.uncertaintyMs + (nowMs - best.atMs) * driftPerMs;
  }
}
