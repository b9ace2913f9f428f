/**
 * The bursts sent to one destination. When a report names a burst, this class gives the time at which it was sent and
 * the number of datagrams sent up to its end.
 */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead } from '../wire/header.js';

/** The most bursts remembered. */
const maxEntries = 4096;

export class SentBursts {
  /** The number of all datagrams sent. */
  total = 0;
  /** When the first datagram was sent. */
  beganAtMs: TimeMs = Infinity;
  private bursts: number[] = [];
  /** Datagrams sent up to the end of each burst, and when its last datagram was sent. */
  private totals: number[] = [];
  private times: TimeMs[] = [];
  /** The number of datagrams up to the end of the last forgotten burst. */
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

  /** Datagrams sent up to the end of this burst. */
  totalUpTo(burst: number): number {
    const place = this.placeOf(burst);
    return place < 0 ? this.forgottenTotal : (this.totals[place] as number);
  }

  /** When the burst was sent; undefined if it had no datagram for this destination or is forgotten. */
  sentAtMs(burst: number): TimeMs | undefined {
    const place = this.placeOf(burst);
    return place >= 0 && this.bursts[place] === burst ? this.times[place] : undefined;
  }

  /** Forgets bursts before this one. */
  forgetBefore(burst: number): void {
    const place = this.placeOf(burst);
    // Dropping them one by one would shift the whole array each time.
    if (place >= forgetAtLeast && place > this.bursts.length / 2) this.drop(place);
  }

  private drop(count: number): void {
    this.forgottenTotal = this.totals[count - 1] as number;
    this.bursts.splice(0, count);
    this.totals.splice(0, count);
    this.times.splice(0, count);
  }

  /** Index of the last burst at or before this one; -1 for none. */
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
