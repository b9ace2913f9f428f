/** The sender's view of one receiver of a session. */

import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { RangeSet } from '../base/range-set.js';
import { RttEstimator } from '../base/rtt.js';
import { CandidateAddresses } from '../path/candidate-addresses.js';
import type { CongestionController } from '../path/congestion-controller.js';
import { PathModel } from '../path/path-model.js';
import { ReturnPath } from '../path/return-path.js';
import { SentBursts } from '../path/sent-bursts.js';
import type { OutgoingHandshake } from '../security/handshake.js';
import type { SecureChannel } from '../security/secure-channel.js';
import type { Gap, ReceiverState } from '../wire/report.js';
import type { Rounds } from './rounds.js';
import type { SessionBlock } from './sealed-block.js';

/** The stage of a receiver in a session, or its outcome. */
export type SessionPeerStatus =
  /** There is no contact yet, or contact was lost. The sender repeats its attempts to connect. */
  | 'connecting'
  /** The user or the program has to decide whether to trust its key. */
  | 'identifying'
  /** The object was offered to it. */
  | 'offered'
  /** It accepted the offer. */
  | 'active'
  | 'complete'
  | 'failed'
  | 'refused'
  | 'aborted';

/** The part of a rate group that code needs when it starts from a peer. */
export interface PeerRateGroup {
  /** The last burst of a round that was sent completely. */
  readonly lastWholeBurst: number | undefined;
  readonly groupBursts: SentBursts;
  readonly controller: CongestionController;
  readonly rounds: Rounds<SessionBlock>;
  /** The members have changed. */
  measure(): void;
  handleReport(nowMs: TimeMs, peer: SessionPeer): void;
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

  /** Blocks that the receiver misses and that are not in flight to it. */
  readonly needed = new RangeSet();
  /** Needed blocks that were sent to the receiver before and then dropped. Sending them again counts as repair. */
  readonly sentInVain = new RangeSet();
  /** The size of its missing blocks, according to its last report. */
  missingBytes: number | undefined;
  /** Whether the receiver has reported its gaps in the content. */
  isReady = false;
  /** Content received in this session before the receiver's last restart, and content received since then. */
  earlierBytes = 0;
  receivedBytes = 0;
  state: ReceiverState = 'preparing';
  windowBlocks = Infinity;
  isMulticastReachable = false;
  wantsTags = false;
  segmentsReceived = 0;
  segmentsLost = 0;
  /** Since when none of the datagrams that the receiver needs has arrived; undefined while some arrive. */
  unreachedSinceMs: TimeMs | undefined;
  private neededAtArrival = 0;
  /** Consecutive reports that show nothing new from the group. After several, the group counts as lost. */
  stalledMulticastReports = 0;
  isGroupLost = false;
  /** The number of datagrams that had been sent to the group when the receiver last reported. */
  groupSentAtReport = 0;
  /** The number of datagrams that have come by multicast; lower than the true number if unicast was lost. */
  receivedByGroup = 0;

  /** The rate group that serves the receiver; undefined before delivery begins. */
  rateGroup: PeerRateGroup | undefined;
  readonly model = new PathModel();
  /** The path that the receiver's reports take. */
  returnPath = new ReturnPath();
  /** Unicast data sent to the receiver, and how many datagrams of that have arrived or are lost. */
  readonly unicastBursts = new SentBursts();
  unicastOver = 0;
  /** How many multicast datagrams of its rate group have arrived or are lost. */
  groupOver = 0;
  /** All datagrams that are in flight to the receiver. */
  inFlight = 0;
  /** The number of unicast datagrams that were sent before the receiver last started its counters at zero. */
  unicastBase = 0;
  /** The missing segments of the blocks that the last report described as partial, by block. */
  parts: ReadonlyMap<number, Gap & { readonly kind: 'part' }> = new Map();
  /** Since when the receiver has been much slower than others in its rate group. */
  slowSinceMs: TimeMs | undefined;

  /** Whether the receiver responds, so that rounds wait for its reports. */
  isResponsive = false;
  hasAnswered = false;
  /** The number of answers that have come from the receiver. */
  answerCount = 0;
  /** When its last authentic message arrived. */
  lastReceivedAtMs: TimeMs = 0;
  /** When the receiver last made progress or was busy with its disk. */
  progressAtMs: TimeMs = 0;
  /** The number of datagrams sent that the receiver needed, and that number at its last progress. */
  neededDatagramsSent = 0;
  private neededAtProgress = 0;
  /** When to repeat the unanswered request, and the current interval between repetitions. */
  retryAtMs: TimeMs = 0;
  retryWaitMs = 0;
  /** When a request that was sent only once was sent. Its answer then measures the round-trip time. */
  requestSentAtMs: TimeMs | undefined;
  /** Counts the attempts at the current handshake step, and the handshakes begun since the last success. */
  offers = 0;
  handshakes = 0;
  /** Whether to poll the receiver when its timer expires next. */
  isPollDue = false;
  /** Set while the receiver is about to restart: since when, and the reason that the receiver gave. */
  deferral: { sinceMs: TimeMs; readonly reason: string } | undefined;
  /** The version in an answer that used another protocol version. Such an answer is not authenticated. */
  otherVersion: number | undefined;
  polledAtMs: TimeMs = -Infinity;
  unansweredPolls = 0;
  readonly rtt: RttEstimator;
  addresses: CandidateAddresses;

  startedAtMs: TimeMs | undefined;
  settledAtMs: TimeMs | undefined;
  datagramsSent = 0;
  repairs = 0;
  /** The message number of its last report; reports with lower numbers are ignored. */
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

  /** Whether the receiver owes an answer. */
  get isAwaited(): boolean {
    const { status, unansweredPolls } = this;
    return (
      status === 'connecting' ||
      status === 'offered' ||
      (status === 'active' && unansweredPolls > 0)
    );
  }

  /** The receiver has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs): void {
    this.progressAtMs = nowMs;
    this.neededAtProgress = this.neededDatagramsSent;
  }

  /** Whether, since the receiver last made progress, any datagram that it needed was sent to it. */
  get hasBeenServed(): boolean {
    return this.neededDatagramsSent > this.neededAtProgress;
  }

  /** Datagrams that the receiver needs were sent to it. */
  noteNeededSent(nowMs: TimeMs, count: number): void {
    this.neededDatagramsSent += count;
    this.unreachedSinceMs ??= nowMs;
  }

  /** Its report shows new datagrams. */
  noteArrival(): void {
    this.unreachedSinceMs = undefined;
    this.neededAtArrival = this.neededDatagramsSent;
  }

  /**
   * How long the receiver's reports have shown that no datagram arrives. This is 0 while some arrive, and while too few
   * were sent for a conclusion.
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

  get isSettled(): boolean {
    return (
      this.status === 'complete' ||
      this.status === 'failed' ||
      this.status === 'refused' ||
      this.status === 'aborted'
    );
  }
}

/** Random loss is unlikely to hit this many datagrams in a row. */
const leastUnreachedDatagrams = 8;
