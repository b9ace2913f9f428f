/**
 * Delays the content until all receivers are ready or the first ready receiver has waited long enough
 * (SESSIONS 3.8).
 */
import type { TimeMs } from '../base/machine.js';
import { retryTiming } from '../transfer/config.js';
import type { SessionPeer } from '../transfer/peer.js';

export class StartBarrier {
  private opened = false;
  /** Time at which the first receiver became ready for content. */
  private readyAtMs: TimeMs | undefined;

  constructor(
    private readonly peers: readonly SessionPeer[],
    private readonly reportIntervalMs: number,
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
    for (const peer of this.peers) {
      // A receiver that is about to restart will not be ready in time.
      if (peer.isSettled || peer.deferral !== undefined) continue;
      const { isReady } = peer;
      if (isReady) isAnyReady = true;
      if (!isReady || !(peer.isMulticastReachable || isGroupSettled)) isAnyAwaited = true;
      if (peer.handshake?.isBeingProbed) isAnyNarrow = true;
    }
    if (!isAnyReady) return undefined;
    this.readyAtMs ??= nowMs;
    const narrowMs = isAnyNarrow ? retryTiming.narrowGraceMs : 0;
    const graceMs =
      retryTiming.graceMs + narrowMs + retryTiming.graceReports * this.reportIntervalMs;
    const graceEndsAtMs = this.readyAtMs + graceMs;
    this.opened = !isAnyAwaited || nowMs >= graceEndsAtMs;
    if (this.opened) return undefined;
    return Math.min(graceEndsAtMs, isGroupSettled ? Infinity : groupAnswersUntilMs);
  }
}
