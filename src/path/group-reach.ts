/** Whether multicast data reaches a receiver (SESSIONS 3.6). */
import type { TimeMs } from '../base/machine.js';
import type { Report } from '../wire/report.js';

/**
 * A receiver counts as unreachable by multicast after this many consecutive reports without new multicast
 * datagrams, over at least this time. A full queue can drop all that arrives for some reports.
 */
const maxStalledReports = 4;
const stalledForMs = 500;

/** What was sent before a report, as far as the report can cover it. */
export interface GroupTraffic {
  /** Number of datagrams sent to the group so far. */
  readonly byGroup: number;
  /** Number of datagrams sent to the group that have arrived or are lost, according to the report. */
  readonly overByGroup: number;
  /** Number of datagrams sent to the receiver alone since it began to count, of which any can have arrived. */
  readonly byUnicast: number;
  /** Whether the last burst that has arrived was sent to the group. It can have arrived before an earlier report. */
  readonly isHeard: boolean;
}

export class GroupReach {
  private reachable = false;
  /** Until when the receiver can answer the first probe that was sent to it; Infinity before that one. */
  private answersUntilMs: TimeMs = Infinity;
  /** Whether multicast stopped reaching the receiver, so that it is not tried again before the receiver restarts. */
  private isLost = false;
  /** Number of consecutive reports without new multicast datagrams. */
  private stalledReports = 0;
  /** Time of the last report before those. */
  private heardAtMs: TimeMs = -Infinity;
  /** Number of datagrams to the group that were over when the receiver last reported. */
  private overAtReport = 0;
  /** Number of datagrams that had been sent to the group when the receiver last reported. */
  private sentAtReport = 0;
  /** Number of datagrams of any kind that had arrived at the last report. */
  private arrivedAtReport = 0;
  /** Estimated number of datagrams received by multicast. Lost unicast datagrams make the estimate too low. */
  private received = 0;

  get isReachable(): boolean {
    return this.reachable;
  }

  /** Whether the receiver had time to answer a probe, and multicast does not reach it. A late answer can change that. */
  isUnreached(nowMs: TimeMs): boolean {
    return !this.reachable && nowMs >= this.answersUntilMs;
  }

  /** A probe was sent, which the receiver can answer until then. */
  awaitAnswers(untilMs: TimeMs): void {
    this.answersUntilMs = Math.min(this.answersUntilMs, untilMs);
  }

  /**
   * @param isUsed whether the sender uses multicast for this receiver
   * @returns whether `isReachable` has changed
   */
  takeReport(nowMs: TimeMs, report: Report, isUsed: boolean, traffic: GroupTraffic): boolean {
    const { segmentsReceived } = report;
    const { byGroup: sent, overByGroup, byUnicast, isHeard } = traffic;
    const hasArrived = segmentsReceived > this.arrivedAtReport;
    // Estimates how many datagrams arrived by multicast: all arrivals minus all unicast datagrams sent. Lost
    // unicast datagrams make the estimate too low. At worst, the sender then uses unicast unnecessarily.
    const byGroup = segmentsReceived - byUnicast;
    // Datagrams to the group can wait behind unicast ones. While none of those arrive either, nothing waits.
    const isMissed = hasArrived ? overByGroup > this.overAtReport : sent > this.sentAtReport;
    if (byGroup > this.received || (isHeard && hasArrived) || !this.reachable) {
      this.received = byGroup;
      this.stalledReports = 0;
      this.heardAtMs = nowMs;
    } else if (report.state === 'receiving' && isMissed) {
      this.stalledReports++;
    }
    this.overAtReport = overByGroup;
    this.sentAtReport = sent;
    this.arrivedAtReport = segmentsReceived;
    const isOverdue = nowMs - this.heardAtMs >= stalledForMs;
    if (this.stalledReports >= maxStalledReports && isOverdue) this.isLost = true;
    const before = this.reachable;
    this.reachable = isUsed && report.isMulticastReachable && !this.isLost;
    return this.reachable !== before;
  }

  /** Serves the receiver by unicast until a report says again that multicast reaches it. */
  leave(): void {
    this.reachable = false;
  }

  /** The receiver has restarted. */
  restart(): void {
    this.isLost = false;
    this.answersUntilMs = Infinity;
    this.stalledReports = 0;
    this.received = 0;
    this.arrivedAtReport = 0;
  }
}
