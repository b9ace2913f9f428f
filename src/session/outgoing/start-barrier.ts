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
  /** Time at which the first receiver became ready for content. */
  private readyAtMs: TimeMs | undefined;

  constructor(
    private readonly members: readonly SessionMember[],
    private readonly reportInterval: ReportInterval,
  ) {}

  get isOpen(): boolean {
    return this.opened;
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
    for (const { isSettled, deferral, handshake, demand, path } of this.members) {
      // A receiver that is about to restart will not be ready in time.
      if (isSettled || deferral !== undefined) continue;
      const { isReady } = demand;
      if (isReady) isAnyReady = true;
      if (!isReady || !(path.isMulticastReachable || isGroupSettled)) isAnyAwaited = true;
      if (handshake?.isBeingProbed) isAnyNarrow = true;
    }
    if (!isAnyReady) return undefined;
    this.readyAtMs ??= nowMs;
    const narrowMs = isAnyNarrow ? retryTiming.narrowGraceMs : 0;
    const graceMs =
      retryTiming.graceMs + narrowMs + retryTiming.graceReports * this.reportInterval.ms;
    const graceEndsAtMs = this.readyAtMs + graceMs;
    this.opened = !isAnyAwaited || nowMs >= graceEndsAtMs;
    if (this.opened) return undefined;
    return Math.min(graceEndsAtMs, isGroupSettled ? Infinity : groupAnswersUntilMs);
  }
}
