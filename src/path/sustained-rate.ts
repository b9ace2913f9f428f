/**
 * The highest rate that lasted a second. What a path can carry alone is judged by it: a queue that drains makes
 * rates over a few milliseconds too high.
 */
import type { TimeMs } from '../base/machine.js';

const spanMs = 1000;

export class SustainedRate {
  private startMs: TimeMs = Infinity;
  private startCount = 0;
  private last = 0;
  private best = 0;

  /** @param count how many there are by now; if fewer than before, the count has begun again */
  add(atMs: TimeMs, count: number): void {
    if (count < this.startCount || this.startMs === Infinity) {
      this.startMs = atMs;
      this.startCount = count;
    }
    const tookMs = atMs - this.startMs;
    if (tookMs > 0) this.last = (count - this.startCount) / tookMs;
    if (tookMs < spanMs) return;
    this.best = Math.max(this.best, this.last);
    this.startMs = atMs;
    this.startCount = count;
  }

  /** The highest rate per millisecond. Before a second is over, the rate since the beginning. */
  get perMs(): number {
    return this.best === 0 ? this.last : this.best;
  }
}
