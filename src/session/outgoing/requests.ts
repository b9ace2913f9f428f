/**
 * The timers of a session sender's requests to one receiver. A request is repeated until the receiver answers
 * (SESSIONS 3.7). A poll asks for a report outside the receiver's turn (SESSIONS 5.5).
 */
import type { TimeMs } from '../../base/machine.js';
import { retryTiming } from '../../transfer/config.js';

export class Requests {
  private dueAtMs: TimeMs = 0;
  private waitMs = 0;
  private onlySentAtMs: TimeMs | undefined;
  /** Number of attempts at the current handshake step, and of handshakes started since the last success. */
  private attempts = 0;
  private handshakes = 0;

  /** Time at which the unanswered request will be repeated. */
  get atMs(): TimeMs {
    return this.dueAtMs;
  }

  /**
   * Time at which the current request was sent; undefined once the request has been repeated, because its
   * answer then gives no RTT sample.
   */
  get sentAtMs(): TimeMs | undefined {
    return this.onlySentAtMs;
  }

  /** Number of attempts at the current step. */
  get attemptCount(): number {
    return this.attempts;
  }

  /**
   * Whether the handshake has to start over. The limit is low at first, because an answer might have been
   * corrupted. It grows with each handshake to leave time for long paths.
   */
  get areExhausted(): boolean {
    const { firstOfferLimit, offerLimit } = retryTiming;
    return this.attempts > Math.min(offerLimit, firstOfferLimit * this.handshakes);
  }

  /** Schedules a request, whatever was scheduled before. */
  scheduleAt(atMs: TimeMs): void {
    this.waitMs = retryTiming.firstMs;
    this.dueAtMs = atMs;
  }

  /** Schedules the repetition of a request that is sent now. */
  scheduleRepetition(nowMs: TimeMs, which: 'first' | 'again', maxWaitMs: number): void {
    const { firstMs, growth } = retryTiming;
    this.waitMs = Math.min(which === 'first' ? firstMs : this.waitMs * growth, maxWaitMs);
    this.dueAtMs = nowMs + this.waitMs;
  }

  /** Schedules rare requests to a receiver that is about to restart. */
  scheduleRarely(nowMs: TimeMs): void {
    this.waitMs = retryTiming.maxMs;
    this.dueAtMs = nowMs + this.waitMs;
  }

  /** Sends no request until another one is scheduled. */
  stop(): void {
    this.dueAtMs = Infinity;
  }

  beginHandshake(): void {
    this.attempts = 0;
    this.handshakes++;
  }

  /** The handshake has succeeded, and the receiver has accepted the offer. */
  endHandshake(): void {
    this.handshakes = 0;
  }

  noteAttempt(which: 'first' | 'again'): void {
    this.attempts = which === 'first' ? 1 : this.attempts + 1;
  }

  noteSent(nowMs: TimeMs, isRepetition: boolean): void {
    this.onlySentAtMs = isRepetition ? undefined : nowMs;
  }
}

export class Polls {
  private lastAtMs: TimeMs = -Infinity;
  private unanswered = 0;
  private isWanted = false;
  private repeatMs: TimeMs = Infinity;

  /** Time of the last poll. */
  get atMs(): TimeMs {
    return this.lastAtMs;
  }

  get unansweredCount(): number {
    return this.unanswered;
  }

  /** Whether to poll the receiver when its timer expires next. */
  get isDue(): boolean {
    return this.isWanted;
  }

  /** Whether so many polls are unanswered that the receiver counts as silent. */
  get areExhausted(): boolean {
    return this.unanswered >= retryTiming.pollLimit;
  }

  setDue(isDue: boolean): void {
    this.isWanted = isDue;
  }

  handleSent(nowMs: TimeMs): void {
    this.lastAtMs = nowMs;
    this.unanswered++;
  }

  handleAnswer(): void {
    this.unanswered = 0;
  }

  /** Time at which to poll again if a report is still overdue then; Infinity if none is. */
  get repeatAtMs(): TimeMs {
    return this.repeatMs;
  }

  /** Schedules the next poll for an overdue report. */
  repeatAt(atMs: TimeMs): void {
    this.repeatMs = atMs;
  }

  /**
   * The earliest time of another poll while a report is overdue.
   * @param timeoutMs the retransmission timeout of the path
   */
  nextAtMs(timeoutMs: number): TimeMs {
    const waitMs = Math.max(timeoutMs, retryTiming.pollMs) * 2 ** this.unanswered;
    return this.lastAtMs + Math.min(waitMs, retryTiming.maxMs);
  }
}
