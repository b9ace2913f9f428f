/** Estimates the rate at which one source delivers while something is asked of it. */
import type { TimeMs } from '../../base/machine.js';

/** The estimate averages over about this time. */
const averageMs = 100;

/** The first measurements replace the guess more quickly than that. */
const minAverageMs = 40;

/** While the estimate grows by this factor in each round of `averageMs`, the source is not fully used. */
const growthFactor = 1.25;

/** Below this part of the best estimate so far, the source has slowed down. */
const slowShare = 1 / 4;

/** After this many rounds without such growth, the source counts as fully used. */
const flatRounds = 3;

export class SourceRate {
  /** Undefined before the first update, because a connection can be older than its use in this fetch. */
  private receivedBytes: number | undefined;
  /** Bytes that arrived in no time, after the last measurement. */
  private newBytes = 0;
  private updatedAtMs: TimeMs = -Infinity;
  private measuredMs = 0;
  private arrivedAtMs: TimeMs | undefined;
  private roundMs = 0;
  private roundsLeft = flatRounds;
  private lastGrown = 0;
  private best = 0;

  /** @param estimate the guess to begin with, in bytes per second */
  constructor(private estimate: number) {}

  /** The current estimate. */
  get bytesPerSec(): number {
    return this.estimate;
  }

  /** Whether the source might deliver much more if it were asked for more, as at the start. */
  get isGrowing(): boolean {
    return this.roundsLeft > 0;
  }

  /** Whether the estimate is more than a guess. */
  get isMeasured(): boolean {
    return this.measuredMs > 0;
  }

  /** Whether the source delivers much less than it once did. */
  get hasSlowedDown(): boolean {
    return this.estimate < slowShare * this.best;
  }

  /** When bytes last arrived, if ever. */
  get lastArrivalMs(): TimeMs | undefined {
    return this.arrivedAtMs;
  }

  /**
   * @param receivedBytes the bytes that have arrived from the source in total; undefined if there is no news of them
   * @param dueAtMs when the first of the bytes that are asked for can be here; infinite if nothing is asked for.
   *   Silence before that time does not count.
   * @returns the number of bytes that are new
   */
  update(nowMs: TimeMs, receivedBytes: number | undefined, dueAtMs: TimeMs): number {
    const before = this.receivedBytes ?? receivedBytes ?? 0;
    const bytes = Math.max(0, (receivedBytes ?? before) - before);
    const fromMs = this.updatedAtMs;
    if (receivedBytes !== undefined) this.receivedBytes = receivedBytes;
    this.updatedAtMs = nowMs;
    if (bytes > 0) this.arrivedAtMs = nowMs;
    if (dueAtMs === Infinity) return bytes;
    this.newBytes += bytes;
    // Bytes that come early show that the round trip is shorter than it was thought to be. How long they took is
    // unknown if the last update is long ago.
    const isEarly = dueAtMs >= nowMs && bytes > 0;
    const elapsedMs = isEarly
      ? Math.min(nowMs - fromMs, minAverageMs)
      : nowMs - Math.max(fromMs, dueAtMs);
    if (elapsedMs > 0) this.measure(elapsedMs);
    return bytes;
  }

  private measure(elapsedMs: number): void {
    const spanMs = Math.min(Math.max(this.measuredMs, minAverageMs), averageMs);
    const measured = (1000 * this.newBytes) / elapsedMs;
    this.estimate += (measured - this.estimate) * (elapsedMs / (elapsedMs + spanMs));
    this.measuredMs += elapsedMs;
    // Until then, the guess might still count.
    if (!this.isGrowing) this.best = Math.max(this.best, this.estimate);
    this.newBytes = 0;
    this.roundMs += elapsedMs;
    if (this.isGrowing && this.roundMs >= averageMs) this.endRound();
  }

  private endRound(): void {
    this.roundMs = 0;
    if (this.estimate < growthFactor * this.lastGrown) {
      this.roundsLeft--;
    } else {
      this.lastGrown = this.estimate;
      this.roundsLeft = flatRounds;
    }
  }
}
