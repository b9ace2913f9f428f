/**
 * The return path of one receiver. Measures how long its reports wait in a queue, and chooses a gap between reports
 * that keeps them from filling the path (SESSIONS 5.4). Clocks need not agree, because only differences count: a
 * report that takes longer than the quickest recent one spent the difference in a queue.
 */
import type { TimeMs } from '../base/machine.js';
import { WindowedExtreme } from './windowed-extreme.js';

/** How long the quickest report stays valid. Clocks drift, so it must be replaced. */
const memoryMs = 20_000;

/** A queue is standing if all reports within `observeMs`, at least `observeReports` of them, waited `standingMs`. */
const standingMs = 20;
const observeMs = 100;
const observeReports = 5;

/** The largest gap. Even a return path that others fill must carry some reports. */
const maxGapMs = 250;

/** Reports use half of the return path's capacity. While there is no queue, the gap shrinks again over time. */
const spareGain = 2;
const shrink = 0.85;
const shrinkEveryMs = 2000;
const leastGapMs = 4;

export class ReturnPath {
  /** The least time between two reports; 0 for no limit. */
  gapMs = 0;
  /** How long the latest report waited in a queue. */
  queueMs = 0;
  private readonly transit = new WindowedExtreme('least', memoryMs);
  private beganAtMs: TimeMs | undefined;
  private count = 0;
  private leastQueueMs = Infinity;
  /** `leastQueueMs` of the previous observation. A queue that shrinks needs no larger gap. */
  private previousQueueMs = Infinity;
  private changedAtMs: TimeMs = -Infinity;

  /**
   * @param stampMs when the report was sent, on the receiver's clock
   * @returns whether `gapMs` has changed
   */
  take(nowMs: TimeMs, stampMs: number): boolean {
    const transitMs = nowMs - stampMs;
    this.transit.add(nowMs, transitMs);
    this.queueMs = transitMs - (this.transit.value ?? transitMs);
    this.leastQueueMs = Math.min(this.leastQueueMs, this.queueMs);
    this.beganAtMs ??= nowMs;
    this.count++;
    const spanMs = nowMs - this.beganAtMs;
    if (spanMs < Math.max(observeMs, 2 * this.gapMs) || this.count <= observeReports) return false;
    const gapMs = this.chooseGap(nowMs, spanMs / (this.count - 1));
    this.previousQueueMs = this.leastQueueMs;
    this.leastQueueMs = Infinity;
    this.beganAtMs = nowMs;
    this.count = 1;
    if (gapMs === this.gapMs) return false;
    this.gapMs = gapMs;
    this.changedAtMs = nowMs;
    return true;
  }

  /** @param arrivedEveryMs the mean time between arrivals */
  private chooseGap(nowMs: TimeMs, arrivedEveryMs: number): number {
    const { leastQueueMs, previousQueueMs, gapMs } = this;
    if (leastQueueMs >= standingMs) {
      // The rate at which reports leave a queue is the capacity of the return path.
      const isShrinking = leastQueueMs < previousQueueMs - standingMs / 4 && gapMs > 0;
      return isShrinking ? gapMs : Math.min(maxGapMs, Math.max(gapMs, spareGain * arrivedEveryMs));
    }
    if (gapMs === 0 || nowMs - this.changedAtMs < shrinkEveryMs) return gapMs;
    const smaller = shrink * gapMs;
    return smaller < leastGapMs ? 0 : smaller;
  }
}
