/**
 * Decides which refused senders and clients are reported. Anyone can create any number of keys, so reports are limited
 * per host and in total, and each key is reported once per host. Each report includes the number of reports
 * that were suppressed since the previous one.
 */
import type { TimeMs } from '../base/machine.js';

export const turnedAwayLimits = {
  /** Time after which a host is forgotten. Its keys are then reported again. */
  repeatMs: 3_600_000,
  /** Maximum number of reports about one host within `repeatMs`. */
  perHost: 4,
  /**
   * Maximum burst of reports about all hosts together. After a burst, one report is allowed every `refillMs`.
   */
  burst: 20,
  refillMs: 60_000,
  /** Maximum number of hosts remembered. */
  hosts: 1024,
} as const;

export type TurnedAwayLimits = Readonly<Record<keyof typeof turnedAwayLimits, number>>;

interface KnownHost {
  readonly firstAtMs: TimeMs;
  readonly keys: Set<string>;
}

export class TurnedAwayLog {
  /** Oldest first. */
  private readonly hosts = new Map<string, KnownHost>();
  private credit: number;
  private creditAtMs: TimeMs = 0;
  private unreportedCount = 0;

  constructor(private readonly limits: TurnedAwayLimits = turnedAwayLimits) {
    this.credit = limits.burst;
  }

  /**
   * @param key the key of the refused host, in any encoding, and what else makes a report a new one
   * @returns the number of reports suppressed since the previous report; undefined if this report is
   * suppressed
   */
  take(nowMs: TimeMs, host: string, key: string): { readonly unreported: number } | undefined {
    if (!this.mayReport(nowMs, host, key)) {
      this.unreportedCount++;
      return undefined;
    }
    const unreported = this.unreportedCount;
    this.unreportedCount = 0;
    return { unreported };
  }

  private mayReport(nowMs: TimeMs, host: string, key: string): boolean {
    this.forgetOld(nowMs);
    const known = this.hosts.get(host);
    const isOften = (known?.keys.size ?? 0) >= this.limits.perHost;
    if (isOften || known?.keys.has(key)) return false;
    if (!this.takeCredit(nowMs)) return false;
    if (known !== undefined) {
      known.keys.add(key);
      return true;
    }
    if (this.hosts.size >= this.limits.hosts) this.forgetFirst();
    this.hosts.set(host, { firstAtMs: nowMs, keys: new Set([key]) });
    return true;
  }

  private takeCredit(nowMs: TimeMs): boolean {
    const { burst, refillMs } = this.limits;
    this.credit = Math.min(burst, this.credit + (nowMs - this.creditAtMs) / refillMs);
    this.creditAtMs = nowMs;
    if (this.credit < 1) return false;
    this.credit--;
    return true;
  }

  private forgetOld(nowMs: TimeMs): void {
    for (const [host, { firstAtMs }] of this.hosts) {
      if (nowMs - firstAtMs < this.limits.repeatMs) return;
      this.hosts.delete(host);
    }
  }

  private forgetFirst(): void {
    for (const host of this.hosts.keys()) {
      this.hosts.delete(host);
      return;
    }
  }
}
