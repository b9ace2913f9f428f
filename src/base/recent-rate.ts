/** The current rate of something that grows, such as received bytes: its growth over the last few seconds. */
import type { TimeMs } from './machine.js';

/** The rate is measured over this time. */
const windowMs = 5000;

/** Without growth for this time, the growth has stalled. */
const stallMs = 3000;

/** A rate over a shorter time would jump about. */
const minSpanMs = 1000;

interface Sample {
  readonly atMs: TimeMs;
  readonly amount: number;
}

export class RecentRate {
  /** In order of time. The first one is the only one that can be older than the window. */
  private samples: Sample[] = [];
  private last: Sample | undefined;
  private grownAtMs: TimeMs | undefined;

  /** Records how much there is by now. Call it a few times per second, also while nothing grows. */
  add(nowMs: TimeMs, amount: number): void {
    const { last } = this;
    const sample = { atMs: nowMs, amount };
    this.last = sample;
    if (last === undefined) return;
    if (amount < last.amount) {
      this.samples = [];
      this.grownAtMs = undefined;
    } else if (amount > last.amount) {
      // The time before the first growth, and the time of a stall, must not lower the rate that follows.
      if (this.isStalled(nowMs)) this.samples = [];
      this.grownAtMs = nowMs;
    }
    if (this.grownAtMs === undefined) return;
    this.samples.push(sample);
    const firstInside = this.samples.findIndex(({ atMs }) => atMs > nowMs - windowMs);
    if (firstInside > 1) this.samples.splice(0, firstInside - 1);
  }

  /** @returns the growth per second; undefined before it can be measured, and during a stall */
  perSec(nowMs: TimeMs): number | undefined {
    const [first] = this.samples;
    if (first === undefined || this.last === undefined || this.isStalled(nowMs)) return undefined;
    const spanMs = nowMs - first.atMs;
    const growth = this.last.amount - first.amount;
    return spanMs >= minSpanMs && growth > 0 ? (growth / spanMs) * 1000 : undefined;
  }

  private isStalled(nowMs: TimeMs): boolean {
    return this.grownAtMs === undefined || nowMs - this.grownAtMs >= stallMs;
  }
}

/** @returns how long the rest takes at this rate; undefined if the rate is unknown */
export function secondsFor(rest: number, perSec: number | undefined): number | undefined {
  if (rest <= 0) return 0;
  return perSec === undefined || perSec <= 0 ? undefined : rest / perSec;
}

/** The current rates of things that come and go, such as sessions. */
export class RecentRates {
  private rates = new Map<string, RecentRate>();

  /** Records the amounts of all things that exist now; forgets the others. */
  update(nowMs: TimeMs, amounts: Iterable<readonly [key: string, amount: number]>): void {
    const rates = new Map<string, RecentRate>();
    for (const [key, amount] of amounts) {
      const rate = this.rates.get(key) ?? new RecentRate();
      rate.add(nowMs, amount);
      rates.set(key, rate);
    }
    this.rates = rates;
  }

  /** @returns as `RecentRate.perSec` */
  perSec(nowMs: TimeMs, key: string): number | undefined {
    return this.rates.get(key)?.perSec(nowMs);
  }
}
