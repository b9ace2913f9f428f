/**
 * The bursts sent to one destination. For a burst that a report names, this class returns the time at which
 * the burst was sent and the number of datagrams sent up to its end.
 */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead } from '../wire/header.js';

/** Maximum number of bursts remembered. */
const maxEntries = 4096;

export class SentBursts {
  /** Number of all datagrams sent. */
  total = 0;
  /** Time at which the first datagram was sent. */
  beganAtMs: TimeMs = Infinity;
  private bursts: number[] = [];
  /** For each burst, the number of datagrams sent up to its end. */
  private totals: number[] = [];
  /** For each burst, the time at which its last datagram was sent. */
  private times: TimeMs[] = [];
  /** Number of datagrams sent up to the end of the last forgotten burst. */
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

  /** Number of datagrams sent up to the end of this burst. */
  totalUpTo(burst: number): number {
    const place = this.placeOf(burst);
    return place < 0 ? this.forgottenTotal : (this.totals[place] as number);
  }

  /**
   * Time at which the burst was sent; undefined if the burst had no datagram for this destination or is
   * forgotten.
   */
  sentAtMs(burst: number): TimeMs | undefined {
    const place = this.placeOf(burst);
    return place >= 0 && this.bursts[place] === burst ? this.times[place] : undefined;
  }

  /** Forgets bursts before this one. */
  forgetBefore(burst: number): void {
    const place = this.placeOf(burst);
    // Bursts are dropped in bulk, because dropping a single burst shifts the whole array.
    if (place >= forgetAtLeast && place > this.bursts.length / 2) this.drop(place);
  }

  private drop(count: number): void {
    this.forgottenTotal = this.totals[count - 1] as number;
    this.bursts.splice(0, count);
    this.totals.splice(0, count);
    this.times.splice(0, count);
  }

  /** Index of the last burst at or before this one; -1 if there is none. */
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
