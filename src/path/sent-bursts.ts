/**
 * What has gone to one destination, burst by burst: a report that names a burst then tells how much was
 * under way, how much of it is lost, and since when.
 */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead } from '../wire/header.js';

/** Bursts that are remembered at most. */
const maxEntries = 4096;

export class SentBursts {
  /** Datagrams, all of them. */
  total = 0;
  /** When the first of them left. */
  beganAtMs: TimeMs = Infinity;
  private bursts: number[] = [];
  /** Datagrams up to the end of each burst; and when its last one left. */
  private totals: number[] = [];
  private times: TimeMs[] = [];
  /** What was sent by bursts that are forgotten. */
  private forgottenTotal = 0;

  add(nowMs: TimeMs, burst: number, count: number): void {
    if (this.total === 0) this.beganAtMs = nowMs;
    this.total += count;
    const last = this.bursts.length - 1;
    if (this.bursts[last] === burst) {
      this.totals[last] = this.total;
      this.times[last] = nowMs;
      return;
    }
    if (this.bursts.length >= maxEntries) this.drop(maxEntries / 2);
    this.bursts.push(burst);
    this.totals.push(this.total);
    this.times.push(nowMs);
  }

  /** Datagrams that were sent up to the end of this burst. */
  totalUpTo(burst: number): number {
    const place = this.placeOf(burst);
    return place < 0 ? this.forgottenTotal : (this.totals[place] as number);
  }

  /** When the burst left; undefined where nothing of it went here, or it is forgotten. */
  sentAtMs(burst: number): TimeMs | undefined {
    const place = this.placeOf(burst);
    return place >= 0 && this.bursts[place] === burst ? this.times[place] : undefined;
  }

  /** Nobody asks for bursts before this one any more. */
  forgetBefore(burst: number): void {
    const place = this.placeOf(burst);
    // Letting go of them one by one would move all the others each time.
    if (place >= forgetAtLeast && place > this.bursts.length / 2) this.drop(place);
  }

  private drop(count: number): void {
    this.forgottenTotal = this.totals[count - 1] as number;
    this.bursts.splice(0, count);
    this.totals.splice(0, count);
    this.times.splice(0, count);
  }

  /** Of the latest burst up to this one; -1 for none. */
  private placeOf(burst: number): number {
    let low = 0;
    let high = this.bursts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (burstsAhead(burst, this.bursts[middle] as number) >= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

const forgetAtLeast = 32;
