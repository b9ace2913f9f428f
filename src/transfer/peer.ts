/** The sender's view of one receiver of a session. */

import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { RangeSet } from '../base/range-set.js';
import { RttEstimator } from '../base/rtt.js';
import { CandidateAddresses } from '../path/candidate-addresses.js';
import type { PathSample } from '../path/path-model.js';
import { PathModel } from '../path/path-model.js';
import { ReturnPath } from '../path/return-path.js';
import { SentBursts } from '../path/sent-bursts.js';
import type { OutgoingHandshake } from '../security/handshake.js';
import type { SecureChannel } from '../security/secure-channel.js';
import type { Undeleted } from '../wire/lists.js';
import type { Gap, ReceiverState } from '../wire/report.js';
import { retryTiming } from './config.js';
import { DeletionNames } from './deletion-names.js';
import type { DigestView } from './digest-view.js';
import type { Rounds } from './rounds.js';
import type { SessionBlock } from './sealed-block.js';

/** The stage of a receiver in a session, or its outcome. */
export type SessionPeerStatus =
  /** There is no contact yet, or contact was lost. The sender keeps trying to connect. */
  | 'connecting'
  /** The user or the program has to decide whether to trust the receiver's key. */
  | 'identifying'
  /** The object has been offered to the receiver. */
  | 'offered'
  /** The receiver has accepted the offer. */
  | 'active'
  | 'complete'
  | 'failed'
  | 'refused'
  | 'aborted';

/** The part of a rate group's interface that other code uses through `SessionPeer.rateGroup`. */
export interface PeerRateGroup {
  /** Last burst of the most recent completely sent round. */
  readonly lastWholeBurst: number | undefined;
  readonly groupBursts: SentBursts;
  readonly rounds: Rounds<SessionBlock>;
  /** Updates the rate group after a change of its members. */
  measure(): void;
  /** @param sample what the report says about the path; undefined if nothing */
  handleReport(peer: SessionPeer, sample: PathSample | undefined): void;
  takeWindow(peer: SessionPeer, blocks: number): void;
  release(peer: SessionPeer): void;
}

export class SessionPeer {
  status: SessionPeerStatus = 'connecting';
  reason: string | undefined;
  /** The name that the receiver reported. */
  selfName: string | undefined;
  handshake: OutgoingHandshake | undefined;
  channel: SecureChannel | undefined;
  /** The static key that was trusted. */
  trustedKey: Uint8Array | undefined;

  /** Blocks that the receiver misses and that are not in flight to the receiver. */
  readonly needed = new RangeSet();
  /**
   * Needed blocks that were already sent to the receiver, in whole or in part, and then dropped from the
   * window. Sending these blocks again counts as repair.
   */
  readonly sentInVain = new RangeSet();
  /** Content blocks that the receiver keeps unread. It announces them before it reports its gaps. */
  kept = new RangeSet();
  /** The digests that the receiver needs; undefined until it has announced all blocks that it keeps. */
  view: DigestView | undefined;
  /** What the receiver announced that it would delete. */
  readonly deletion = new DeletionNames();
  /** Figures that the receiver reports when it is done. */
  done = { unchangedFiles: 0, deletedEntries: 0, undeletedEntries: 0 };
  /** The first entries that the receiver should have deleted and did not. */
  undeleted: readonly Undeleted[] = [];
  /** The size of its missing blocks, according to its last report. */
  missingBytes: number | undefined;
  /** Whether the receiver has reported its gaps in the content. */
  isReady = false;
  /** Content bytes received in this session: before the receiver's last restart, and since that restart. */
  earlierBytes = 0;
  receivedBytes = 0;
  state: ReceiverState = 'preparing';
  windowBlocks = Infinity;
  isMulticastReachable = false;
  wantsTags = false;
  segmentsReceived = 0;
  segmentsLost = 0;
  /**
   * Time at which the first needed datagram was sent after the last reported arrival; undefined if none has
   * been sent since then.
   */
  unreachedSinceMs: TimeMs | undefined;
  private neededAtArrival = 0;
  /**
   * Number of consecutive reports without new multicast datagrams. After several such reports, `isGroupLost`
   * is set.
   */
  stalledMulticastReports = 0;
  isGroupLost = false;
  /** Number of datagrams that had been sent to the group when the receiver last reported. */
  groupSentAtReport = 0;
  /**
   * Estimated number of datagrams received by multicast. Lost unicast datagrams make the estimate too low.
   */
  receivedByGroup = 0;

  /** The rate group that serves the receiver; undefined before delivery begins. */
  rateGroup: PeerRateGroup | undefined;
  readonly model: Readonly<PathModel> = new PathModel();
  /** State of the path that the receiver's reports take. */
  returnPath = new ReturnPath();
  /** Unicast bursts sent to the receiver, and the number of their datagrams that have arrived or are lost. */
  readonly unicastBursts = new SentBursts();
  unicastOver = 0;
  /** Number of multicast datagrams of the receiver's rate group that have arrived or are lost. */
  groupOver = 0;
  /** Number of unicast and multicast datagrams in flight to the receiver. */
  inFlight = 0;
  /** Number of unicast datagrams that had been sent when the receiver last reset its counters to zero. */
  unicastBase = 0;
  /** Partial blocks of the last report, with their missing segments, keyed by block number. */
  parts: ReadonlyMap<number, Gap & { readonly kind: 'part' }> = new Map();
  /**
   * Time at which the receiver became much slower than others in its rate group; undefined while it is not
   * slow.
   */
  slowSinceMs: TimeMs | undefined;

  /** Whether the receiver responds. Rounds wait only for reports of receivers that respond. */
  isResponsive = false;
  hasAnswered = false;
  /** Number of answers that the sender has received from the receiver. */
  answerCount = 0;
  /** Time at which the receiver's last authentic message arrived. */
  lastReceivedAtMs: TimeMs = 0;
  /** Time at which the receiver last made progress or was busy with its disk. */
  progressAtMs: TimeMs = 0;
  /** Number of needed datagrams sent to the receiver: in total, and up to its last progress. */
  neededDatagramsSent = 0;
  private neededAtProgress = 0;
  /** Time at which the unanswered request will be repeated, and the current interval between repetitions. */
  retryAtMs: TimeMs = 0;
  retryWaitMs = 0;
  /**
   * Time at which the current request was sent; undefined once the request has been repeated, because its
   * answer then gives no RTT sample.
   */
  requestSentAtMs: TimeMs | undefined;
  /** Number of attempts at the current handshake step, and of handshakes started since the last success. */
  offers = 0;
  handshakes = 0;
  /** Whether to poll the receiver when its timer expires next. */
  isPollDue = false;
  /**
   * Set while the receiver is about to restart: when the wait began, and the reason that the receiver gave.
   */
  deferral: { sinceMs: TimeMs; readonly reason: string } | undefined;
  /** Version field of an answer that uses another protocol version. Such an answer is not authenticated. */
  otherVersion: number | undefined;
  polledAtMs: TimeMs = -Infinity;
  unansweredPolls = 0;
  readonly rtt: RttEstimator;
  addresses: CandidateAddresses;

  startedAtMs: TimeMs | undefined;
  settledAtMs: TimeMs | undefined;
  datagramsSent = 0;
  repairs = 0;
  /** Message number of the receiver's last report. Reports with lower numbers are ignored. */
  lastReport = -1;

  constructor(
    readonly index: number,
    readonly name: string,
    address: Address,
    rttLimits: ConstructorParameters<typeof RttEstimator>[0],
    otherAddresses?: readonly Address[],
  ) {
    this.addresses = new CandidateAddresses(address, otherAddresses);
    this.rtt = new RttEstimator(rttLimits);
  }

  /** The address in use. */
  get address(): Address {
    return this.addresses.current;
  }

  /** When to poll the receiver again while its report is overdue. */
  get pollAgainAtMs(): TimeMs {
    const waitMs = Math.max(this.rtt.timeoutMs, retryTiming.pollMs) * 2 ** this.unansweredPolls;
    return this.polledAtMs + Math.min(waitMs, retryTiming.maxMs);
  }

  /** Whether the receiver owes an answer. */
  get isAwaited(): boolean {
    const { status, unansweredPolls } = this;
    return (
      status === 'connecting' ||
      status === 'offered' ||
      (status === 'active' && unansweredPolls > 0)
    );
  }

  /** Records that the receiver has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs): void {
    this.progressAtMs = nowMs;
    this.neededAtProgress = this.neededDatagramsSent;
  }

  /** Whether any needed datagram has been sent to the receiver since its last progress. */
  get hasBeenServed(): boolean {
    return this.neededDatagramsSent > this.neededAtProgress;
  }

  /** Records that needed datagrams were sent to the receiver. */
  noteNeededSent(nowMs: TimeMs, count: number): void {
    this.neededDatagramsSent += count;
    this.unreachedSinceMs ??= nowMs;
  }

  /** Records that a report of the receiver shows new datagrams. */
  noteArrival(): void {
    this.unreachedSinceMs = undefined;
    this.neededAtArrival = this.neededDatagramsSent;
  }

  /**
   * Time for which the receiver has reported that no datagrams arrive. The time is 0 while datagrams arrive,
   * and until enough datagrams were sent for a conclusion.
   */
  get unreachedMs(): number {
    const { unreachedSinceMs, neededDatagramsSent, neededAtArrival } = this;
    const isEnough = neededDatagramsSent - neededAtArrival >= leastUnreachedDatagrams;
    if (unreachedSinceMs === undefined || !isEnough || this.state !== 'receiving') return 0;
    return Math.max(0, this.lastReceivedAtMs - unreachedSinceMs);
  }

  /** Whether the sender sends data to the receiver and expects its reports. */
  get isServed(): boolean {
    return this.status === 'active' && this.isResponsive;
  }

  /** Whether the receiver has all blocks that it needs and only waits for the sender's root digest. */
  get awaitsDigest(): boolean {
    return this.isServed && this.state === 'whole';
  }

  get isSettled(): boolean {
    return (
      this.status === 'complete' ||
      this.status === 'failed' ||
      this.status === 'refused' ||
      this.status === 'aborted'
    );
  }
}

/**
 * Minimum number of datagrams after which their absence at the receiver counts as evidence. Random loss rarely hits
 * this many datagrams in a row.
 */
const leastUnreachedDatagrams = 8;
