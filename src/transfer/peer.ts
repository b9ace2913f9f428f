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
  /** Not heard yet, or not heard any more; it is called again and again. */
  | 'connecting'
  /** Its key is shown to whoever decides on trust. */
  | 'identifying'
  /** It was offered the object. */
  | 'offered'
  /** It takes part. */
  | 'active'
  | 'complete'
  | 'failed'
  | 'refused'
  | 'aborted';

/** What a receiver's rate group is to those who know the receiver alone. */
export interface PeerRateGroup {
  /** The last burst of a round that has been sent whole. */
  readonly lastWholeBurst: number | undefined;
  readonly groupBursts: SentBursts;
  readonly controller: CongestionController;
  readonly rounds: Rounds<SessionBlock>;
  /** Who takes part has changed. */
  measure(): void;
  handleReport(nowMs: TimeMs, peer: SessionPeer): void;
  takeWindow(peer: SessionPeer, blocks: number): void;
  release(peer: SessionPeer): void;
}

export class SessionPeer {
  status: SessionPeerStatus = 'connecting';
  reason: string | undefined;
  /** What it calls itself. */
  selfName: string | undefined;
  handshake: OutgoingHandshake | undefined;
  channel: SecureChannel | undefined;
  /** The static key that it was trusted by. */
  trustedKey: Uint8Array | undefined;

  /** Blocks that it lacks and that are not in flight to it. */
  readonly needed = new RangeSet();
  /** Of these, the ones that were sent to it and then let go of: they are sent again. */
  readonly sentInVain = new RangeSet();
  /** Content that it lacks, by its last report. */
  missingBytes: number | undefined;
  /** It has told what it lacks of the content. */
  isReady = false;
  /** Content that came there in this session: in its earlier lives, and in this one. */
  earlierBytes = 0;
  receivedBytes = 0;
  state: ReceiverState = 'preparing';
  windowBlocks = Infinity;
  isMulticastReachable = false;
  wantsTags = false;
  segmentsReceived = 0;
  segmentsLost = 0;
  /** Since when it has been sent datagrams that it needs without any arriving; undefined while some arrive. */
  unreachedSinceMs: TimeMs | undefined;
  private neededAtArrival = 0;
  /** Reports in a row without anything new, and whether that showed that the group does not reach it. */
  stalledMulticastReports = 0;
  isGroupLost = false;
  /** Datagrams that had gone to the group when it last reported. */
  groupSentAtReport = 0;
  /** The most that can have come to it by the group. */
  receivedByGroup = 0;

  /** Who serves it; undefined before delivery begins. */
  rateGroup: PeerRateGroup | undefined;
  readonly model = new PathModel();
  /** The path by which its reports come back. */
  returnPath = new ReturnPath();
  /** Data datagrams to it alone; and how many of them are over, come or lost. */
  readonly unicastBursts = new SentBursts();
  unicastOver = 0;
  /** How many of its rate group's to the group are over; and of both, how many are not. */
  groupOver = 0;
  inFlight = 0;
  /** What had gone to it alone when it began to count. */
  unicastBase = 0;
  /** Of blocks that it lacks and that are not in flight to it, the segments that it lacks. */
  parts: ReadonlyMap<number, Gap & { readonly kind: 'part' }> = new Map();
  /** Since when it has been much slower than others of its rate group. */
  slowSinceMs: TimeMs | undefined;

  /** It was heard lately: rounds wait for its reports. */
  isResponsive = false;
  isHeard = false;
  /** Answers that came from it. */
  heardCount = 0;
  heardAtMs: TimeMs = 0;
  /** When it last came nearer to the end, or was busy at its own disk. */
  progressAtMs: TimeMs = 0;
  /** Datagrams that were sent to it of blocks that it lacked; and how many these were then. */
  neededDatagramsSent = 0;
  private neededAtProgress = 0;
  /** When to send it again what was not answered; and for how long to wait then. */
  retryAtMs: TimeMs = 0;
  retryWaitMs = 0;
  /** When what it is to answer was sent, if that was only once: then the answer measures the round trip. */
  requestSentAtMs: TimeMs | undefined;
  /** How often the same step of the opening was repeated; and how many openings were begun in vain. */
  offers = 0;
  handshakes = 0;
  /** It is to be asked for a report when its time comes. */
  isPollDue = false;
  /** It is about to end, and what takes its place is awaited: since when, and in its own words. */
  deferral: { sinceMs: TimeMs; readonly reason: string } | undefined;
  /** It answered in another version; who says so is not proven. */
  otherVersion: number | undefined;
  polledAtMs: TimeMs = -Infinity;
  unansweredPolls = 0;
  readonly rtt: RttEstimator;
  addresses: CandidateAddresses;

  startedAtMs: TimeMs | undefined;
  settledAtMs: TimeMs | undefined;
  datagramsSent = 0;
  repairs = 0;
  /** The number of the message that its last report was; earlier ones are overtaken. */
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

  /** Where it is sent to now. */
  get address(): Address {
    return this.addresses.current;
  }

  /** Whether it owes an answer to what was sent to it. */
  get isAwaited(): boolean {
    const { status, unansweredPolls } = this;
    return (
      status === 'connecting' ||
      status === 'offered' ||
      (status === 'active' && unansweredPolls > 0)
    );
  }

  /** It has come nearer to the end, or is at its own disk. */
  noteProgress(nowMs: TimeMs): void {
    this.progressAtMs = nowMs;
    this.neededAtProgress = this.neededDatagramsSent;
  }

  /** Whether it was sent anything that it lacked since it last came nearer to the end. */
  get hasBeenServed(): boolean {
    return this.neededDatagramsSent > this.neededAtProgress;
  }

  /** Datagrams that it needs were sent there. */
  noteNeededSent(nowMs: TimeMs, count: number): void {
    this.neededDatagramsSent += count;
    this.unreachedSinceMs ??= nowMs;
  }

  /** Its report counts datagrams that an earlier one did not. */
  noteArrival(): void {
    this.unreachedSinceMs = undefined;
    this.neededAtArrival = this.neededDatagramsSent;
  }

  /**
   * For how long its reports have said that none of the datagrams sent to it arrive; 0 while they do, or
   * where too few were sent to tell.
   */
  get unreachedMs(): number {
    const { unreachedSinceMs, neededDatagramsSent, neededAtArrival } = this;
    const isEnough = neededDatagramsSent - neededAtArrival >= leastUnreachedDatagrams;
    if (unreachedSinceMs === undefined || !isEnough || this.state !== 'receiving') return 0;
    return Math.max(0, this.heardAtMs - unreachedSinceMs);
  }

  /** Whether it is sent to, and waited for. */
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

/** Chance alone does not swallow so many in a row. */
const leastUnreachedDatagrams = 8;
