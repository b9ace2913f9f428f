/**
 * The queueing delay of a path over time. Paths through the same queue have the same delay at the same time, which shows
 * that they share a bottleneck.
 */
import type { TimeMs } from '../base/machine.js';
import type { PathSample } from './path-model.js';

/** Delays within this time are averaged. */
const binMs = 20;
/** Number of bins that are compared at once. */
const binsInWindow = 64;
/** The minimum number of bins of a window in which both paths have delays. */
const leastBins = 24;
const keptBins = 2 * binsInWindow;
/** Delays that vary less, as a standard deviation, say nothing about queues. */
const leastDeviationMs = 1;

/** Mean delays in the latest bins. */
class Bins {
  private readonly sums = new Float64Array(keptBins);
  private readonly counts = new Uint32Array(keptBins);
  private current = -1;

  /** The latest bin. */
  get newest(): number {
    return this.current;
  }

  add(atMs: TimeMs, delayMs: number): void {
    const bin = Math.max(0, Math.floor(atMs / binMs));
    if (bin <= this.current - keptBins) return;
    for (let i = Math.max(this.current + 1, bin - keptBins + 1); i <= bin; i++) {
      this.sums[i % keptBins] = 0;
      this.counts[i % keptBins] = 0;
    }
    this.current = Math.max(this.current, bin);
    const place = bin % keptBins;
    this.sums[place] = (this.sums[place] as number) + delayMs;
    this.counts[place] = (this.counts[place] as number) + 1;
  }

  mean(bin: number): number | undefined {
    if (bin > this.current || bin <= this.current - keptBins) return undefined;
    const count = this.counts[bin % keptBins] as number;
    return count === 0 ? undefined : (this.sums[bin % keptBins] as number) / count;
  }
}

export class QueueTrace {
  /** By the time at which the delayed datagram was sent: the same for all paths if their bottleneck is near the sender. */
  private readonly bySending = new Bins();
  /** By the time at which it arrived: the same for all paths if their bottleneck is near the receiver. */
  private readonly byArrival = new Bins();

  add({ sentAtMs, arrivedAtMs }: PathSample, minRttMs: number): void {
    const delayMs = Math.max(0, arrivedAtMs - sentAtMs - minRttMs);
    this.bySending.add(sentAtMs, delayMs);
    // The report took about half of the round trip.
    this.byArrival.add(arrivedAtMs - minRttMs / 2, delayMs);
  }

  /** The number of the latest window that is over. */
  get lastWindow(): number {
    return Math.floor(this.bySending.newest / binsInWindow) - 1;
  }

  /**
   * Correlates the delays of two paths in a window.
   * @returns -1..1; undefined if too little is known, or the delays hardly vary
   */
  static correlation(a: QueueTrace, b: QueueTrace, window: number): number | undefined {
    const sending = correlationOf(a.bySending, b.bySending, window);
    const arrival = correlationOf(a.byArrival, b.byArrival, window);
    return sending === undefined ? arrival : Math.max(sending, arrival ?? -1);
  }
}

function correlationOf(a: Bins, b: Bins, window: number): number | undefined {
  let count = 0;
  const sum = { a: 0, b: 0, aa: 0, bb: 0, ab: 0 };
  for (let bin = window * binsInWindow; bin < (window + 1) * binsInWindow; bin++) {
    const [x, y] = [a.mean(bin), b.mean(bin)];
    if (x === undefined || y === undefined) continue;
    count++;
    sum.a += x;
    sum.b += y;
    sum.aa += x * x;
    sum.bb += y * y;
    sum.ab += x * y;
  }
  if (count < leastBins) return undefined;
  const varianceA = sum.aa / count - (sum.a / count) ** 2;
  const varianceB = sum.bb / count - (sum.b / count) ** 2;
  if (Math.min(varianceA, varianceB) < leastDeviationMs ** 2) return undefined;
  return (sum.ab / count - (sum.a * sum.b) / count ** 2) / Math.sqrt(varianceA * varianceB);
}
