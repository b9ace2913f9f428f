/**
 * Which senders that were turned away are reported. Anybody can make keys and knock, so reports are bounded:
 * by key and host, by host, and all together; what is left out is counted and named with the next report.
 */
import type { TimeMs } from '../base/machine.js';

export const turnedAwayLimits = {
  /** The same key from the same host is reported again after this time. */
  repeatMs: 3_600_000,
  /** Reports about one host within `repeatMs`. */
  perHost: 4,
  /** Reports at once about all hosts together; from then on, one every `refillMs`. */
  burst: 20,
  refillMs: 60_000,
  /** Hosts that are remembered. */
  hosts: 1024,
} as const;

interface KnownHost {
  readonly firstAtMs: TimeMs;
  readonly keys: Set<string>;
}

export class TurnedAwayLog {
  /** The first is the oldest. */
  private readonly hosts = new Map<string, KnownHost>();
  private credit: number = turnedAwayLimits.burst;
  private creditAtMs: TimeMs = 0;
  private unreportedCount = 0;

  /**
   * @param key of the sender, in any spelling
   * @returns how many were not reported since the last report; undefined where this one is not reported either
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
