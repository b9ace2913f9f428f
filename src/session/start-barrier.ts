/** When content begins to flow: the first receivers that are ready wait a moment for the others (SESSIONS 3.8). */
import type { TimeMs } from '../base/machine.js';
import { retryTiming } from '../transfer/config.js';
import type { SessionPeer } from '../transfer/peer.js';

export class StartBarrier {
  private opened = false;
  /** Since when there is a receiver that could be sent content. */
  private readyAtMs: TimeMs | undefined;

  constructor(
    private readonly peers: readonly SessionPeer[],
    private readonly reportIntervalMs: number,
  ) {}

  get isOpen(): boolean {
    return this.opened;
  }

  /**
   * Opens where it may: what all lack is then sent once to all.
   * @param groupAnswersUntilMs until when receivers may still say that they hear the group
   * @returns when to ask again, while it is shut and there is somebody to wait for
   */
  tryOpen(nowMs: TimeMs, groupAnswersUntilMs: TimeMs): TimeMs | undefined {
    const isGroupSettled = nowMs >= groupAnswersUntilMs;
    let isAnyReady = false;
    let isAnyAwaited = false;
    let isAnyNarrow = false;
    for (const peer of this.peers) {
      // Who was put off will not be there within that moment.
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
