/**
 * Decides which refused senders are reported. Anyone can create any number of keys, so reports are limited
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

interface KnownHost {
  readonly firstAtMs: TimeMs;
  readonly keys: Set<string>;
}

export class TurnedAwayLog {
  /** Oldest first. */
  private readonly hosts = new Map<string, KnownHost>();
  private credit: number = turnedAwayLimits.burst;
  private creditAtMs: TimeMs = 0;
  private unreportedCount = 0;

  /**
   * @param key the sender's key, in any encoding
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
    if (known?.keys.has(key) || (known?.keys.size ?? 0) >= turnedAwayLimits.perHost) return false;
    if (!this.takeCredit(nowMs)) return false;
    if (known !== undefined) {
      known.keys.add(key);
      return true;
    }
    if (this.hosts.size >= turnedAwayLimits.hosts) this.forgetFirst();
    this.hosts.set(host, { firstAtMs: nowMs, keys: new Set([key]) });
    return true;
  }

  private takeCredit(nowMs: TimeMs): boolean {
    const { burst, refillMs } = turnedAwayLimits;
    this.credit = Math.min(burst, this.credit + (nowMs - this.creditAtMs) / refillMs);
    this.creditAtMs = nowMs;
    if (this.credit < 1) return false;
    this.credit--;
    return true;
  }

  private forgetOld(nowMs: TimeMs): void {
    for (const [host, { firstAtMs }] of this.hosts) {
      if (nowMs - firstAtMs < turnedAwayLimits.repeatMs) return;
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
