/** A configured rate that all rate groups of a session share. */
import type { TimeMs } from '../../base/machine.js';
import type { Pacer, RateLimit } from '../../path/pacer.js';

/** All catch-up groups together get at least this share of the rate. */
const catchUpShare = 1 / 8;

export class SharedLimit {
  private readonly pacer: Pacer;
  /** Bytes that catch-up groups may send ahead of the main group. */
  private catchUpCredit = 0;

  constructor(private readonly limit: RateLimit) {
    this.pacer = limit.createPacer();
  }

  maySend(nowMs: TimeMs): boolean {
    return this.pacer.maySend(nowMs);
  }

  get nextSendAtMs(): TimeMs {
    return this.pacer.nextSendAtMs;
  }

  /** Whether the catch-up groups may send before the main group. */
  get isCatchUpFirst(): boolean {
    return this.catchUpCredit > 0;
  }

  /** @param isCatchUp whether a catch-up group sent the bytes; undefined if there is only one rate group */
  handleSent(nowMs: TimeMs, sizeBytes: number, isCatchUp: boolean | undefined): void {
    this.pacer.handleSent(nowMs, this.limit.timeMsOf(sizeBytes));
    if (isCatchUp === undefined) return;
    this.catchUpCredit += (isCatchUp ? catchUpShare - 1 : catchUpShare) * sizeBytes;
  }

  /** No rate group has anything to send. */
  handleNothing(): void {
    this.catchUpCredit = 0;
  }

  handleTimeout(nowMs: TimeMs): void {
    this.pacer.handleTimeout(nowMs);
  }
}
