/**
 * Whether a session must use only one of its paths to a receiver, because many sessions arrive there at once. AMP (Kheirkhah
 * and Lee 2019) finds that out by windows that stay at their minimum; here, the receiver says what the session may send.
 */
import type { TimeMs } from '../../base/machine.js';
import { incastThresholds } from '../config.js';

/** What the session knows of its paths and its share, in datagrams per millisecond. */
export interface IncastSample {
  /** What the receiver lets the session send; Infinity for no limit. */
  readonly share: number;
  /** The rate at which datagrams arrive by the path that stays in use. */
  readonly rate: number;
  /** The round-trip time of that path without queues. */
  readonly rttMs: number;
  readonly pathCount: number;
}

export class Incast {
  private isOnNow = false;
  /** Since then, the samples say the opposite. If the first one does, that is enough. */
  private changesSinceMs: TimeMs | undefined = -Infinity;
  /** When the path that stays in use carried the share last. */
  private carriedAtMs: TimeMs = -Infinity;
  private notBeforeMs: TimeMs = -Infinity;

  get isOn(): boolean {
    return this.isOnNow;
  }

  take(nowMs: TimeMs, { share, rate, rttMs, pathCount }: IncastSample): void {
    const { onsetRounds, endRounds, leastWindow, returnFactor, carriedPart } = incastThresholds;
    const { uncarriedRounds, uncarriedRestMs } = incastThresholds;
    const roundMs = Math.max(1, rttMs);
    const factor = this.isOnNow ? returnFactor : 1;
    const isNarrow = share * roundMs < factor * pathCount * leastWindow;
    const isDue = isNarrow && nowMs >= this.notBeforeMs;
    if (isDue === this.isOnNow) this.changesSinceMs = undefined;
    else {
      this.changesSinceMs ??= nowMs;
      const rounds = this.isOnNow ? endRounds : onsetRounds;
      if (nowMs - this.changesSinceMs < rounds * roundMs) return;
      this.changesSinceMs = undefined;
      this.isOnNow = isDue;
      this.carriedAtMs = nowMs;
    }
    if (!this.isOnNow) return;
    if (rate >= carriedPart * share) this.carriedAtMs = nowMs;
    if (nowMs - this.carriedAtMs < uncarriedRounds * roundMs) return;
    this.isOnNow = false;
    this.notBeforeMs = nowMs + uncarriedRestMs;
  }
}
