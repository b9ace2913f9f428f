/**
 * Notices a receiver that reports, but that no data reaches, and decides when to probe it (SESSIONS 5.13). Everything
 * else that it needs would be sent in vain, at the expense of the other receivers.
 */
import type { TimeMs } from '../base/machine.js';

/**
 * Minimum number of datagrams after which their absence at the receiver counts as evidence. Random loss rarely hits
 * this many datagrams in a row.
 */
const leastDatagrams = 8;

/** A receiver is probed after this many reports in a row without an arrival, over at least as many round trips. */
const vainReportLimit = 4;

/** So many probes follow each other as soon as their reports are here; later ones are `rareProbeMs` apart. */
const quickProbes = 8;
const rareProbeMs = 1000;

/** Number of segments in a probe. */
export const probeSegments = leastDatagrams;

export class Arrivals {
  private neededSentCount = 0;
  /** Number of needed datagrams sent before the last reported arrival, and before the last report that counts as vain. */
  private sentAtArrival = 0;
  private sentAtVainReport = 0;
  /**
   * Time at which the first needed datagram was sent after the last reported arrival; undefined if none has
   * been sent since then.
   */
  private sinceMs: TimeMs | undefined;
  private reportedAtMs: TimeMs = 0;
  /** Number of reports since the last arrival that cover further datagrams. */
  private vainReports = 0;
  private isBeingProbed = false;
  private probeCount = 0;
  private probedAtMs: TimeMs = -Infinity;
  private isDue = false;
  /** The block in flight that carries the probe. */
  private probedBlock: number | undefined;

  /** Number of datagrams of needed blocks sent to the receiver. */
  get neededSent(): number {
    return this.neededSentCount;
  }

  handleSent(nowMs: TimeMs, count: number): void {
    this.neededSentCount += count;
    this.sinceMs ??= nowMs;
  }

  /** A report shows that data has arrived, or the receiver begins to count again. */
  handleArrival(): void {
    this.sinceMs = undefined;
    this.sentAtArrival = this.neededSentCount;
    this.sentAtVainReport = this.neededSentCount;
    this.vainReports = 0;
    this.isBeingProbed = false;
    this.probeCount = 0;
    this.probedBlock = undefined;
  }

  /**
   * Handles a report in which nothing new has arrived.
   * @param isReceiving whether the receiver waits for data
   * @param rttMs an upper estimate of the round-trip time
   */
  handleVainReport(nowMs: TimeMs, isReceiving: boolean, rttMs: number): void {
    this.reportedAtMs = nowMs;
    if (this.neededSentCount - this.sentAtVainReport >= leastDatagrams) {
      this.sentAtVainReport = this.neededSentCount;
      this.vainReports++;
    }
    this.isBeingProbed ||=
      isReceiving && this.vainReports >= vainReportLimit && this.forMs > vainReportLimit * rttMs;
    const isLongAgo = nowMs - this.probedAtMs >= rareProbeMs;
    if (this.isBeingProbed && (this.probeCount < quickProbes || isLongAgo)) this.isDue = true;
  }

  /**
   * Time for which reports have shown that nothing arrives. It is 0 while data arrives, and until enough was sent for a
   * conclusion.
   */
  get forMs(): number {
    const isEnough = this.neededSentCount - this.sentAtArrival >= leastDatagrams;
    return this.sinceMs === undefined || !isEnough
      ? 0
      : Math.max(0, this.reportedAtMs - this.sinceMs);
  }

  /** Whether the receiver gets only probes, because nothing else reaches it. */
  get isProbed(): boolean {
    return this.isBeingProbed;
  }

  get isProbeDue(): boolean {
    return this.isBeingProbed && this.isDue;
  }

  /** This block will carry the probe that is due. */
  probe(block: number): void {
    this.isDue = false;
    this.probedAtMs = this.reportedAtMs;
    this.probeCount++;
    this.probedBlock = block;
  }

  isProbe(block: number): boolean {
    return this.probedBlock === block;
  }

  /** This process was suspended. That time does not count. */
  handleStop(stoppedMs: number): void {
    this.reportedAtMs += stoppedMs;
    if (this.sinceMs !== undefined) this.sinceMs += stoppedMs;
  }
}
