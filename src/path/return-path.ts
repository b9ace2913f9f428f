/**
 * The return path of one receiver, which carries the receiver's reports. This class measures how long the
 * reports wait in a queue, and chooses a gap between reports that keeps them from filling the path (SESSIONS
 * 5.4). The two clocks need not agree, because only differences count: if a report takes longer than the
 * quickest recent report, it spent the difference in a queue.
 */
import type { TimeMs } from '../base/machine.js';
import { WindowedExtreme } from './windowed-extreme.js';

/**
 * Time for which the quickest report stays valid as the reference. Clocks drift, so the reference must be
 * renewed.
 */
const memoryMs = 20_000;

/**
 * A queue is standing if every report within `observeMs` waited at least `standingMs`. This takes at least
 * `observeReports` reports.
 */
const standingMs = 20;

/**
 * Reports fill the path only if the queue becomes longer than this, and doubles after each increase of the gap. A queue
 * that stays the same is one of other traffic, as in a relay that sends content by the path of its reports. Fewer reports
 * would not shorten it, but the sender would learn of everything later.
 */
const fullMs = 30;
const fullGrowth = 2;
const observeMs = 100;
const observeReports = 5;

/** Maximum gap. Some reports must get through even if other traffic fills the return path. */
const maxGapMs = 250;

/**
 * Reports use at most half of the return path's capacity. While there is no queue, the gap shrinks again over
 * time.
 */
const spareGain = 2;
const shrink = 0.85;
const shrinkEveryMs = 2000;
const leastGapMs = 4;

export class ReturnPath {
  /** Minimum time between two reports; 0 for no minimum. */
  gapMs = 0;
  /** Time that the latest report waited in a queue. */
  queueMs = 0;
  private readonly transit = new WindowedExtreme('least', memoryMs);
  private beganAtMs: TimeMs | undefined;
  private count = 0;
  private leastQueueMs = Infinity;
  /** `leastQueueMs` of the previous observation. While the queue shrinks, `gapMs` is not increased. */
  private previousQueueMs = Infinity;
  private changedAtMs: TimeMs = -Infinity;
  /** A queue that is at least as long as this leads to an increase of the gap. */
  private fullQueueMs = fullMs;

  /**
   * @param stampMs the time at which the report was sent, on the receiver's clock
   * @param mostServiceMs the time that the path takes for the report at most, without a queue
   * @returns whether `gapMs` has changed
   */
  take(nowMs: TimeMs, stampMs: number, mostServiceMs = Infinity): boolean {
    const transitMs = nowMs - stampMs;
    this.transit.add(nowMs, transitMs);
    this.queueMs = transitMs - (this.transit.value ?? transitMs);
    this.leastQueueMs = Math.min(this.leastQueueMs, this.queueMs);
    this.beganAtMs ??= nowMs;
    this.count++;
    const spanMs = nowMs - this.beganAtMs;
    if (spanMs < Math.max(observeMs, 2 * this.gapMs) || this.count <= observeReports) return false;
    const gapMs = this.chooseGap(nowMs, Math.min(spanMs / (this.count - 1), mostServiceMs));
    this.previousQueueMs = this.leastQueueMs;
    this.leastQueueMs = Infinity;
    this.beganAtMs = nowMs;
    this.count = 1;
    if (gapMs === this.gapMs) return false;
    this.gapMs = gapMs;
    this.changedAtMs = nowMs;
    return true;
  }

  /** @param serviceMs the time that a report takes if reports fill the path */
  private chooseGap(nowMs: TimeMs, serviceMs: number): number {
    const { leastQueueMs, previousQueueMs, gapMs } = this;
    if (leastQueueMs >= standingMs) {
      // The rate at which reports leave a queue is the capacity of the return path.
      const isShrinking = leastQueueMs < previousQueueMs - standingMs / 4 && gapMs > 0;
      if (isShrinking || leastQueueMs < this.fullQueueMs) return gapMs;
      this.fullQueueMs = fullGrowth * leastQueueMs;
      return Math.min(maxGapMs, Math.max(gapMs, spareGain * serviceMs));
    }
    this.fullQueueMs = fullMs;
    if (gapMs === 0 || nowMs - this.changedAtMs < shrinkEveryMs) return gapMs;
    const smaller = shrink * gapMs;
    return smaller < leastGapMs ? 0 : smaller;
  }
}
