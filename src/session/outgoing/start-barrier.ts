/**
 * Delays the content until all receivers are ready or the first ready receiver has waited long enough
 * (SESSIONS 3.8).
 */
import type { TimeMs } from '../../base/machine.js';
import { retryTiming } from '../../transfer/config.js';
import type { ReportInterval } from '../../transfer/report-interval.js';
import type { SessionMember } from './member.js';

export class StartBarrier {
  private opened = false;
  private servesAtOnce = false;
  private hasServed = false;
  /** Time at which the first receiver became ready for content. */
  private readyAtMs: TimeMs | undefined;

  /** @param servesTogether whether receivers are sent the same blocks at the same time; if not, none waits for another */
  constructor(
    private readonly members: readonly SessionMember[],
    private readonly reportInterval: ReportInterval,
    private readonly servesTogether: boolean,
  ) {}

  get isOpen(): boolean {
    return this.opened;
  }

  /** Whether content is sent: the barrier is open, or the receivers have nobody to wait for. */
  get isServing(): boolean {
    return this.opened || this.servesAtOnce;
  }

  /** Whether content has ever been sent. */
  get hasBegun(): boolean {
    return this.hasServed;
  }

  /**
   * Opens the barrier if possible. Receivers that start together can be sent the same data at the same time.
   * @param groupAnswersUntilMs the time until which receivers might still report that multicast reaches them
   * @returns when to try again; undefined if the barrier is open or no receiver is ready
   */
  tryOpen(nowMs: TimeMs, groupAnswersUntilMs: TimeMs): TimeMs | undefined {
    const isGroupSettled = nowMs >= groupAnswersUntilMs;
    let isAnyReady = false;
    let isAnyAwaited = false;
    let isAnyNarrow = false;
    let [memberCount, wantingCount] = [0, 0];
    for (const { isSettled, deferral, handshake, demand, path } of this.members) {
      // A receiver that is about to restart will not be ready in time.
      if (isSettled || deferral !== undefined) continue;
      const isReady = demand.isReady && demand.state !== 'preparing';
      memberCount++;
      if (demand.isReady) wantingCount++;
      if (isReady) isAnyReady = true;
      if (!isReady || !(path.isMulticastReachable || isGroupSettled)) isAnyAwaited = true;
      if (handshake?.isBeingProbed) isAnyNarrow = true;
    }
    this.servesAtOnce = (memberCount === 1 || !this.servesTogether) && wantingCount > 0;
    this.hasServed ||= this.servesAtOnce;
    if (!isAnyReady) return undefined;
    this.readyAtMs ??= nowMs;
    const narrowMs = isAnyNarrow ? retryTiming.narrowGraceMs : 0;
    const graceMs =
      retryTiming.graceMs + narrowMs + retryTiming.graceReports * this.reportInterval.ms;
    const graceEndsAtMs = this.readyAtMs + graceMs;
    this.opened = !isAnyAwaited || nowMs >= graceEndsAtMs;
    this.hasServed ||= this.opened;
    if (this.opened) return undefined;
    return Math.min(graceEndsAtMs, isGroupSettled ? Infinity : groupAnswersUntilMs);
  }
}
