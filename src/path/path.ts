/**
 * The path to one host, as the side that sends to it knows it: where the host is, how large datagrams may be, how long a
 * round trip takes, what is in flight, and whether multicast reaches the host.
 */
import type { Address } from '../base/address.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import type { RttLimits } from '../base/rtt.js';
import { RttEstimator } from '../base/rtt.js';
import { burstsAhead } from '../wire/header.js';
import type { Report } from '../wire/report.js';
import { dataFramingBytes, nextSmallerMssBytes } from '../wire/segment-size.js';
import { CandidateAddresses } from './candidate-addresses.js';
import type { ControlledPath } from './congestion/congestion-control.js';
import { GroupReach } from './group-reach.js';
import type { PathSample } from './path-model.js';
import { PathModel } from './path-model.js';
import { ReturnPath } from './return-path.js';
import { SentBursts } from './sent-bursts.js';
import { SustainedRate } from './sustained-rate.js';

const rttLimits: RttLimits = {
  initialMs: 100,
  granularityMs: 1,
  minMs: 5,
  maxMs: 5000,
  maxBackoffMs: 5000,
};

/** No return path is narrower than this part of the forward path. If its queue is long nevertheless, other traffic fills it. */
const leastReturnShare = 1 / 1000;

/** The two ends of a path. */
export interface PathEnds {
  /** Where the other host listens. */
  readonly address: Address;
  /** Further addresses of the other host. They are tried if `address` does not answer. */
  readonly otherAddresses?: readonly Address[];
  /** The local host from which a session sends; by default, the system chooses. */
  readonly localHost?: string;
}

export class Path implements ControlledPath {
  private readonly ownModel = new PathModel();
  private readonly estimator = new RttEstimator(rttLimits);
  private candidates: CandidateAddresses;
  /** The path that the receiver's reports take. */
  private back = new ReturnPath();
  private readonly reach = new GroupReach();
  /** Unicast bursts sent to the receiver, and the number of their datagrams that have arrived or are lost. */
  private readonly unicastBursts = new SentBursts();
  private unicastOver = 0;
  /** Number of multicast datagrams of the receiver's rate group that have arrived or are lost. */
  private groupOver = 0;
  /** Number of unicast datagrams that had been sent when the receiver last reset its counters to zero. */
  private unicastBase = 0;
  private inFlightCount = 0;
  private readonly sustained = new SustainedRate();

  private localHost: string | undefined;
  private isUsedNow = true;

  /** @param largestMssBytes size of the largest segment that is sent on this path */
  constructor(
    { address, otherAddresses, localHost }: PathEnds,
    private largestMssBytes: number,
    /** The number of the path among those to the same receiver. The first one, 0, is that of the handshake. */
    readonly number = 0,
  ) {
    this.candidates = new CandidateAddresses(address, otherAddresses);
    this.localHost = localHost;
  }

  /** The address in use. */
  get address(): Address {
    return this.candidates.current;
  }

  /** The local host from which the session sends; undefined if the system chooses. */
  get from(): string | undefined {
    return this.localHost;
  }

  /** The highest rate at which datagrams arrived for a second, per millisecond. */
  get sustainedRate(): number {
    return this.sustained.perMs;
  }

  /** Whether data goes by this path. */
  get isUsed(): boolean {
    return this.isUsedNow;
  }

  setUsed(isUsed: boolean): void {
    this.isUsedNow = isUsed;
  }

  get addresses(): CandidateAddresses {
    return this.candidates;
  }

  /** Size of the largest segment that is sent on this path. */
  get mssBytes(): number {
    return this.largestMssBytes;
  }

  /** Size of the largest datagram that is sent on this path. */
  get datagramSizeBytes(): number {
    return this.largestMssBytes + dataFramingBytes;
  }

  /** The path does not carry segments of this size. @returns whether there is a smaller size to try */
  narrow(): boolean {
    const smallerBytes = nextSmallerMssBytes(this.largestMssBytes);
    if (smallerBytes === undefined) return false;
    this.largestMssBytes = smallerBytes;
    return true;
  }

  /** Sends a transmit on this path. */
  carry(transmit: Transmit): Transmit {
    return this.localHost === undefined ? transmit : { ...transmit, from: this.localHost };
  }

  get ends(): Pick<PathEnds, 'address' | 'localHost'> {
    const { address, localHost } = this;
    return localHost === undefined ? { address } : { address, localHost };
  }

  /** From now on, the path has these ends. */
  moveTo({ address, localHost }: PathEnds): void {
    this.candidates.choose(address);
    this.localHost = localHost;
  }

  /** Takes over what an earlier session learned about the receiver's addresses. */
  adoptAddresses({ addresses }: Path): void {
    this.candidates = addresses;
  }

  get rtt(): Pick<RttEstimator, 'rttMs' | 'timeoutMs'> {
    return this.estimator;
  }

  /** Delivery rate, round-trip time and loss. The congestion controller feeds it. */
  get model(): Readonly<PathModel> {
    return this.ownModel;
  }

  /** `gapMs` is the minimum time between two reports, so that they do not fill the path; 0 for no minimum. */
  get returnPath(): { readonly gapMs: number } {
    return this.back;
  }

  get isMulticastReachable(): boolean {
    return this.reach.isReachable;
  }

  /** Whether the receiver had time to answer a probe, and multicast does not reach it. A late answer can change that. */
  isUnreached(nowMs: TimeMs): boolean {
    return this.reach.isUnreached(nowMs);
  }

  /** A probe was sent to the multicast group. If it has reached the receiver, a report says so until then. */
  awaitProbeAnswers(untilMs: TimeMs): void {
    this.reach.awaitAnswers(untilMs);
  }

  /** Number of unicast and multicast datagrams in flight when `measureInFlight` was last called. */
  get inFlight(): number {
    return this.inFlightCount;
  }

  /** @param groupTotal number of datagrams that the receiver's rate group has sent to the multicast group */
  measureInFlight(groupTotal: number): void {
    const unicast = this.unicastBursts.total - this.unicastOver;
    this.inFlightCount = this.isMulticastReachable
      ? unicast + groupTotal - this.groupOver
      : unicast;
  }

  /** Number of datagrams sent by unicast since the receiver last reset its counters, and those that are not in flight any more. */
  get sent(): { readonly count: number; readonly overCount: number } {
    const { total } = this.unicastBursts;
    return { count: total - this.unicastBase, overCount: this.unicastOver - this.unicastBase };
  }

  /** Takes the time from a request to its answer. It is an upper bound, because it includes processing time. */
  handleHandshakeRtt(nowMs: TimeMs, rttMs: number): void {
    this.ownModel.takeHandshakeRtt(nowMs, rttMs);
  }

  /** Records datagrams sent to the receiver by unicast. */
  handleSent(nowMs: TimeMs, burst: number, count: number): void {
    this.unicastBursts.add(nowMs, burst, count);
  }

  /**
   * Takes what a report says about the return path.
   * @param stampMs the time at which it was sent, on the receiver's clock
   * @param sizeBytes the size of its datagram
   * @returns whether the minimum time between reports has changed
   */
  handleReturn(nowMs: TimeMs, stampMs: number, sizeBytes: number): boolean {
    const forwardBytesPerMs = this.model.deliveryRate * this.datagramSizeBytes;
    return this.back.take(nowMs, stampMs, sizeBytes / (leastReturnShare * forwardBytesPerMs));
  }

  /**
   * Takes what a report says about the datagrams sent.
   * @param lastBurst the last burst that was started; undefined before the first burst
   * @param groupBursts the bursts that the receiver's rate group sent to the multicast group
   * @returns the sample for the path's model, if the report has one
   */
  handleReport(
    nowMs: TimeMs,
    report: Report,
    lastBurst: number | undefined,
    groupBursts: SentBursts,
  ): PathSample | undefined {
    const { unicastBursts, isMulticastReachable } = this;
    const { cumulativeBurst, largestBurst, ackDelayMs } = report;
    if (largestBurst === undefined || lastBurst === undefined) return undefined;
    // A report of a burst that was never sent results from forged data.
    if (burstsAhead(lastBurst, largestBurst) < 0) return undefined;
    const sentUpTo = (burst: number) =>
      unicastBursts.totalUpTo(burst) + (isMulticastReachable ? groupBursts.totalUpTo(burst) : 0);
    if (cumulativeBurst !== undefined && burstsAhead(lastBurst, cumulativeBurst) >= 0) {
      this.unicastOver = Math.max(this.unicastOver, unicastBursts.totalUpTo(cumulativeBurst));
      this.groupOver = Math.max(this.groupOver, groupBursts.totalUpTo(cumulativeBurst));
      unicastBursts.forgetBefore(cumulativeBurst);
    }
    const sentAtMs = Math.max(
      unicastBursts.sentAtMs(largestBurst) ?? -Infinity,
      (isMulticastReachable ? groupBursts.sentAtMs(largestBurst) : undefined) ?? -Infinity,
    );
    const reportedAtMs = nowMs - ackDelayMs;
    if (sentAtMs === -Infinity || reportedAtMs < sentAtMs) return undefined;
    this.estimator.sample(reportedAtMs - sentAtMs);
    const arrivedAtMs = this.withoutQueueBack(sentAtMs, reportedAtMs);
    this.sustained.add(arrivedAtMs, report.segmentsReceived);
    return {
      nowMs,
      arrivedAtMs,
      sentAtMs,
      beganAtMs: Math.min(
        unicastBursts.beganAtMs,
        isMulticastReachable ? groupBursts.beganAtMs : Infinity,
      ),
      sentUpToLargest: sentUpTo(largestBurst),
      sentUpToCumulative: sentUpTo(cumulativeBurst ?? largestBurst),
      sent: unicastBursts.total + (isMulticastReachable ? groupBursts.total : 0),
      received: report.segmentsReceived,
    };
  }

  /**
   * Estimated arrival time of the newest datagram, without the time that the report spent in a queue. Even short delays
   * count: rates are measured over a few milliseconds, and those of a relay's reports vary with what it sends.
   */
  private withoutQueueBack(sentAtMs: TimeMs, reportedAtMs: TimeMs): TimeMs {
    const { queueMs } = this.back;
    const soonestMs = Math.min(reportedAtMs, sentAtMs + this.model.minRttMs);
    return Math.max(soonestMs, reportedAtMs - queueMs);
  }

  /**
   * Takes what a report says about multicast.
   * @param isUsed whether the sender uses multicast for this receiver
   * @param groupBursts the bursts that the receiver's rate group sent to the multicast group
   * @returns whether `isMulticastReachable` has changed
   */
  handleGroupReport(
    nowMs: TimeMs,
    report: Report,
    isUsed: boolean,
    groupBursts: SentBursts,
  ): boolean {
    const { cumulativeBurst, largestBurst } = report;
    const { unicastBursts, unicastBase } = this;
    const traffic = {
      byGroup: groupBursts.total,
      overByGroup: cumulativeBurst === undefined ? 0 : groupBursts.totalUpTo(cumulativeBurst),
      // What was sent after the largest burst cannot have arrived.
      byUnicast:
        largestBurst === undefined ? 0 : unicastBursts.totalUpTo(largestBurst) - unicastBase,
      isHeard: largestBurst !== undefined && groupBursts.sentAtMs(largestBurst) !== undefined,
    };
    if (!this.reach.takeReport(nowMs, report, isUsed, traffic)) return false;
    // Multicast datagrams sent so far do not count as in flight to this receiver.
    this.groupOver = groupBursts.total;
    this.ownModel.restart();
    return true;
  }

  /** Restarts the measurements, because the sender now reaches the receiver in another way. */
  restartModel(): void {
    this.ownModel.restart();
  }

  /** Serves the receiver by unicast until a report says again that multicast reaches it. */
  leaveGroup(): void {
    this.reach.leave();
  }

  /** The receiver has restarted. Its counters begin at zero again. */
  restart(groupTotal: number): void {
    this.reach.restart();
    this.back = new ReturnPath();
    this.unicastBase = this.unicastBursts.total;
    this.unicastOver = this.unicastBursts.total;
    this.groupOver = groupTotal;
    this.ownModel.restart();
  }
}
