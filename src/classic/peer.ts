/** The sender's state for one receiver: progress, timeout and outcome. */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { RttLimits } from '../base/rtt.js';
import { RttEstimator } from '../base/rtt.js';
import { CandidateAddresses } from '../path/candidate-addresses.js';
import { UnexpectedAnswers } from './diagnosis/unexpected-answers.js';

/** State of a receiver in the transfer. */
export type PeerStatus =
  /** The transfer is in progress. */
  | 'active'
  /** Every segment is acknowledged. */
  | 'complete'
  /** The receiver timed out or violated the protocol. */
  | 'failed'
  /** The transfer was aborted before this receiver had everything. */
  | 'aborted';

/** The sender's view of one receiver. */
export class Peer {
  status: PeerStatus = 'active';
  reason: string | undefined;
  /**
   * Whether the receiver answers from an address that differs from the one to which data is sent (PROTOCOL
   * 6.6).
   */
  hasAlias = false;
  readonly rtt: RttEstimator;
  readonly unexpectedAnswers = new UnexpectedAnswers();
  readonly addresses: CandidateAddresses;

  /** Number of consecutive segments, starting with segment 0, that the receiver has acknowledged. */
  ackedSegments = 0;
  /**
   * Number of consecutive segments, starting with segment 0, that were sent at least once. The end marker
   * counts as a segment.
   */
  sentSegments = 0;
  /** Number of blocks in flight that the receiver has not fully acknowledged. */
  pendingBlocks = 0;
  /** Time since which the receiver has acknowledged nothing new. */
  waitingSinceMs: TimeMs = 0;
  /** Time at which the receiver acknowledged the last data segment or reached another outcome. */
  completedAtMs: TimeMs | undefined;
  /** Whether the receiver has acknowledged the end of the file. */
  isConfirmed = false;
  /**
   * Whether the receiver has identified itself as p2mp. If it has, the meaning of its ACKs is certain
   * (PROTOCOL 5.9).
   */
  isIdentified = false;
  /** Whether the receiver has ever sent a usable ACK. */
  hasAnswered = false;

  datagramsSent = 0;
  retransmissions = 0;
  acks = 0;
  /** Until the first valid ACK: number of ACKs that carry the next segment's number (PROTOCOL 6.4). */
  nextNumberAcks = 0;

  private timedSequence: number | undefined;
  private lastCopyAtMs: TimeMs = 0;
  /** Time at which the second-to-last copy of the timed segment was sent; undefined after a single copy. */
  private previousCopyAtMs: TimeMs | undefined;
  /** An ambiguous ACK: it may answer either of the last two copies. */
  private doubt:
    | {
        readonly sequence: number;
        readonly atMs: TimeMs;
        readonly ageMs: number;
        readonly copySpacingMs: number;
      }
    | undefined;

  constructor(
    readonly index: number,
    readonly name: string,
    address: Address,
    rttLimits: RttLimits,
    otherAddresses?: readonly Address[],
  ) {
    this.addresses = new CandidateAddresses(address, otherAddresses);
    this.rtt = new RttEstimator(rttLimits);
  }

  /** The address currently in use. */
  get address(): Address {
    return this.addresses.current;
  }

  get isPending(): boolean {
    return this.status === 'active' && this.pendingBlocks > 0;
  }

  /** Records a transmission. Only one segment is timed at a time (RFC 6298, 3). */
  handleSent(nowMs: TimeMs, sequence: number): void {
    this.datagramsSent++;
    if (sequence >= this.sentSegments) {
      this.sentSegments = sequence + 1;
      if (this.timedSequence === undefined) {
        this.timedSequence = sequence;
        this.lastCopyAtMs = nowMs;
        this.previousCopyAtMs = undefined;
      }
    } else {
      this.retransmissions++;
      if (sequence !== this.timedSequence) return;
      this.previousCopyAtMs = this.lastCopyAtMs;
      this.lastCopyAtMs = nowMs;
    }
  }

  /**
   * Handles the ACK of segment `throughSegments - 1`. This ACK acknowledges every segment below
   * `throughSegments`.
   */
  handleProgress(nowMs: TimeMs, throughSegments: number): void {
    const sequence = throughSegments - 1;
    this.ackedSegments = throughSegments;
    this.waitingSinceMs = nowMs;
    this.nextNumberAcks = 0;
    this.rtt.endBackoff();
    if (this.timedSequence === undefined || this.timedSequence > sequence) return;
    if (this.timedSequence === sequence) {
      // Karn's rule: after a retransmission, the ACK is ambiguous. If nothing else is in flight, a repeated
      // ACK may resolve the ambiguity later.
      if (this.previousCopyAtMs === undefined) {
        this.rtt.sample(nowMs - this.lastCopyAtMs);
      } else if (throughSegments === this.sentSegments) {
        this.doubt = {
          sequence,
          atMs: nowMs,
          ageMs: nowMs - this.previousCopyAtMs,
          copySpacingMs: this.lastCopyAtMs - this.previousCopyAtMs,
        };
      }
    }
    this.timedSequence = undefined;
  }

  /**
   * Handles a second ACK of the same segment. If the two ACKs are about as far apart as the two copies, both
   * copies arrived. The first ACK then answered the earlier copy, the timeout was too short, and the time
   * from that copy to the first ACK is an RTT sample (PROTOCOL 4.4). An ACK that the network duplicated
   * arrives sooner, and an ACK that a later out-of-sequence segment triggered arrives later.
   */
  handleRepeatedAck(nowMs: TimeMs, sequence: number): void {
    const { doubt } = this;
    if (doubt === undefined || sequence !== doubt.sequence) return;
    this.doubt = undefined;
    const spacing = (nowMs - doubt.atMs) / doubt.copySpacingMs;
    if (spacing >= 0.5 && spacing <= 1.5) this.rtt.sample(doubt.ageMs);
  }

  /**
   * Stops timing the current segment, because its ACK would measure the receiver's disk instead of the path.
   */
  stopTiming(): void {
    this.timedSequence = undefined;
    this.doubt = undefined;
  }
}
