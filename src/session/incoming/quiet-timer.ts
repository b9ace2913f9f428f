/**
 * When a receiver reports unasked, because nothing arrives. It may have another address now, of its own or that of a
 * router on the way, and its sender does not know that before something comes from there (SESSIONS 3.18).
 */
import type { TimeMs } from '../../base/machine.js';

/** The first wait, its growth, and the longest wait. */
const leastMs = 500;
const growth = 2;
const maxMs = 2000;
/** With many receivers, each one reports rarely. It is not heard of for several intervals anyway. */
const leastIntervals = 4;

export class QuietTimer {
  private waitMs: number;
  private atMs: TimeMs;
  private readonly leastMs: number;
  private hasAccepted = false;

  constructor(nowMs: TimeMs, reportIntervalMs: number) {
    this.leastMs = Math.max(leastMs, leastIntervals * reportIntervalMs);
    this.waitMs = this.leastMs;
    this.atMs = nowMs + this.leastMs;
  }

  get dueAtMs(): TimeMs {
    return this.atMs;
  }

  /** Whether nothing has arrived since the receiver accepted the offer. */
  get isAcceptUnanswered(): boolean {
    return this.hasAccepted;
  }

  /** The receiver accepts the offer. */
  handleAccept(): void {
    this.hasAccepted = true;
  }

  /** Something has arrived from the sender. */
  handleArrival(nowMs: TimeMs): void {
    this.hasAccepted = false;
    this.waitMs = this.leastMs;
    this.atMs = nowMs + this.waitMs;
  }

  /** A report is sent because of this timer. */
  handleReport(nowMs: TimeMs): void {
    this.waitMs = Math.max(this.leastMs, Math.min(maxMs, growth * this.waitMs));
    this.atMs = nowMs + this.waitMs;
  }

  stop(): void {
    this.atMs = Infinity;
  }
}
