/** Limits how often a receiver answers queries: in total, and for each source (SESSIONS 7.4). */
import type { TimeMs } from '../base/machine.js';

export const answerLimits = {
  /** Answers to all sources together. */
  perSec: 20,
  burst: 40,
  /** Answers to one source. A search sends three queries. */
  perSourcePerSec: 2,
  sourceBurst: 6,
  /** Maximum number of sources whose answers are counted. The one that asked least recently makes room. */
  sources: 256,
  /** Maximum number of answers that wait for their delay to pass. */
  waiting: 32,
  /** Each answer is delayed by a random time up to this, so that many receivers do not answer at once. */
  maxDelayMs: 250,
} as const;

/** Answers that may still be sent; refilled at a constant rate. */
interface Allowance {
  answers: number;
  atMs: TimeMs;
}

export class AnswerRates {
  private readonly total: Allowance = { answers: answerLimits.burst, atMs: 0 };
  /** The source that asked least recently comes first. */
  private readonly bySource = new Map<string, Allowance>();

  /** Number of sources that are remembered. */
  get sourceCount(): number {
    return this.bySource.size;
  }

  /** Counts an answer. @returns false if it would exceed a limit */
  take(nowMs: TimeMs, source: string): boolean {
    const { perSec, burst, perSourcePerSec, sourceBurst, sources } = answerLimits;
    refill(this.total, nowMs, perSec, burst);
    if (this.total.answers < 1) return false;
    const own = this.bySource.get(source) ?? { answers: sourceBurst, atMs: nowMs };
    refill(own, nowMs, perSourcePerSec, sourceBurst);
    this.bySource.delete(source);
    this.bySource.set(source, own);
    if (this.bySource.size > sources) {
      const [oldest = ''] = this.bySource.keys();
      this.bySource.delete(oldest);
    }
    if (own.answers < 1) return false;
    own.answers--;
    this.total.answers--;
    return true;
  }
}

function refill(allowance: Allowance, nowMs: TimeMs, perSec: number, burst: number): void {
  const gained = (perSec * (nowMs - allowance.atMs)) / 1000;
  allowance.answers = Math.min(burst, allowance.answers + gained);
  allowance.atMs = nowMs;
}
