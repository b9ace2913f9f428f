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

/** Where a receiver is in a session, or how it ended. */
export type SessionPeerStatus =
  /** No contact yet, or contact was lost; connection attempts are repeated. */
  | 'connecting'
  /** Waiting for a decision whether to trust its key. */
  | 'identifying'
  /** The object was offered to it. */
  | 'offered'
  /** It accepted the offer. */
  | 'active'
  | 'complete'
  | 'failed'
  | 'refused'
  | 'aborted';

/** The part of a rate group that a peer's users need. */
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

  /** Blocks that it misses and that are not in flight to it. */
  readonly needed = new RangeSet();
  /** Needed blocks that were sent to it before and dropped: sending them counts as repair. */
  readonly sentInVain = new RangeSet();
  /** Missing content by its last report. */
  missingBytes: number | undefined;
  /** It has reported its gaps in the content. */
  isReady = false;
  /** Content received in this session: before its last restart, and since. */
  earlierBytes = 0;
  receivedBytes = 0;
  state: ReceiverState = 'preparing';
  windowBlocks = Infinity;
  isMulticastReachable = false;
  wantsTags = false;
  segmentsReceived = 0;
  segmentsLost = 0;
  /** Since when no datagram that it needs has arrived; undefined while some arrive. */
  unreachedSinceMs: TimeMs | undefined;
  private neededAtArrival = 0;
  /** Consecutive reports without anything new from the group, and whether multicast was found not to reach it. */
  stalledMulticastReports = 0;
  isGroupLost = false;
  /** Datagrams sent to the group when it last reported. */
  groupSentAtReport = 0;
  /** The most datagrams that can have reached it by multicast. */
  receivedByGroup = 0;

  /** The rate group that serves it; undefined before delivery begins. */
  rateGroup: PeerRateGroup | undefined;
  readonly model = new PathModel();
  /** The path of its reports. */
  returnPath = new ReturnPath();
  /** Unicast data sent to it, and how much of that has arrived or is lost. */
  readonly unicastBursts = new SentBursts();
  unicastOver = 0;
  /** How many of its rate group's multicast datagrams have arrived or are lost; and all datagrams in flight. */
  groupOver = 0;
  inFlight = 0;
  /** Unicast datagrams sent before its counters started. */
  unicastBase = 0;
  /** Missing segments of partial blocks that are not in flight to it. */
  parts: ReadonlyMap<number, Gap & { readonly kind: 'part' }> = new Map();
  /** Since when it has been much slower than others in its rate group. */
  slowSinceMs: TimeMs | undefined;

  /** Whether it is reachable, so that rounds wait for its reports. */
  isResponsive = false;
  isHeard = false;
  /** Answers received from it. */
  heardCount = 0;
  /** When its last authentic message arrived. */
  lastReceivedAtMs: TimeMs = 0;
  /** When it last made progress or was busy with its disk. */
  progressAtMs: TimeMs = 0;
  /** Datagrams sent to it that it needed; and how many those were at its last progress. */
  neededDatagramsSent = 0;
  private neededAtProgress = 0;
  /** When to repeat the unanswered request, and how long to wait after that. */
  retryAtMs: TimeMs = 0;
  retryWaitMs = 0;
  /** When the request was sent, if only once: then its answer measures the round-trip time. */
  requestSentAtMs: TimeMs | undefined;
  /** Repetitions of the current handshake step, and handshakes begun without success. */
  offers = 0;
  handshakes = 0;
  /** Whether to poll it at its next turn. */
  isPollDue = false;
  /** The receiver is about to restart: since when, and the reason that it gave. */
  deferral: { sinceMs: TimeMs; readonly reason: string } | undefined;
  /** The protocol version of an answer with another version, which is not authenticated. */
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

  /** Whether it owes an answer. */
  get isAwaited(): boolean {
    const { status, unansweredPolls } = this;
    return (
      status === 'connecting' ||
      status === 'offered' ||
      (status === 'active' && unansweredPolls > 0)
    );
  }

  /** It has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs): void {
    this.progressAtMs = nowMs;
    this.neededAtProgress = this.neededDatagramsSent;
  }

  /** Whether it was sent anything that it needed since its last progress. */
  get hasBeenServed(): boolean {
    return this.neededDatagramsSent > this.neededAtProgress;
  }

  /** Datagrams that it needs were sent to it. */
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
   * How long its reports have shown that no datagram arrives; 0 while some arrive, or if too few were sent for a
   * conclusion.
   */
  get unreachedMs(): number {
    const { unreachedSinceMs, neededDatagramsSent, neededAtArrival } = this;
    const isEnough = neededDatagramsSent - neededAtArrival >= leastUnreachedDatagrams;
    if (unreachedSinceMs === undefined || !isEnough || this.state !== 'receiving') return 0;
    return Math.max(0, this.lastReceivedAtMs - unreachedSinceMs);
  }

  /** Whether it is served: data is sent to it and its reports are expected. */
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

/** Random loss alone hardly takes this many datagrams in a row. */
const leastUnreachedDatagrams = 8;
