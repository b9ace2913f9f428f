/** The sender's view of one receiver: its progress, its timeout, its outcome. */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { RttLimits } from '../base/rtt.js';
import { RttEstimator } from '../base/rtt.js';
import { CandidateAddresses } from '../path/candidate-addresses.js';
import { OddAnswers } from './odd-answers.js';

export type PeerStatus =
  /** Still being sent to. */
  | 'active'
  /** Every segment is acknowledged. */
  | 'complete'
  /** Given up on: it fell silent, or broke the protocol. */
  | 'failed'
  /** The transfer was stopped before this receiver had everything. */
  | 'aborted';

export class Peer {
  status: PeerStatus = 'active';
  reason: string | undefined;
  /** Whether it answers from another address than the one it is sent to (PROTOCOL 6.6). */
  hasAlias = false;
  readonly rtt: RttEstimator;
  readonly oddAnswers = new OddAnswers();
  readonly addresses: CandidateAddresses;

  /** Segments acknowledged, all from 0 on. */
  ackedSegments = 0;
  /** Segments sent at least once, all from 0 on; the end marker counts as one. */
  sentSegments = 0;
  /** Blocks in flight that it lacks some of. */
  pendingBlocks = 0;
  /** Since when it owes an acknowledgement of something new. */
  waitingSinceMs: TimeMs = 0;
  /** When its last data segment was acknowledged. */
  completedAtMs: TimeMs | undefined;
  /** Whether it acknowledged the end as well. */
  isConfirmed = false;
  /** Whether it has shown that it is a receiver of p2mp, whose ACKs mean what ours do (PROTOCOL 5.9). */
  isIdentified = false;
  /** Whether anything has ever come from it. */
  isHeard = false;

  /** Whether it has answered the end marker with an ACK of something earlier: it is at work on it. */
  isAnsweringEnd = false;
  /** Whether it has ever done so. */
  hasAnsweredEnd = false;
  /** Datagrams that had been sent to it when the end was declared: copies of data. */
  datagramsBeforeEnd = 0;

  datagramsSent = 0;
  retransmissions = 0;
  acks = 0;
  /** ACKs of the next number, as long as no proper one has come (PROTOCOL 6.4). */
  nextNumberAcks = 0;

  private timedSequence: number | undefined;
  private lastCopyAtMs: TimeMs = 0;
  /** When the copy before the last one was sent; undefined as long as there is but one. */
  private previousCopyAtMs: TimeMs | undefined;
  /** An answer that may have come to either of the last two copies. */
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

  /** Where it is sent to now. */
  get address(): Address {
    return this.addresses.current;
  }

  get isPending(): boolean {
    return this.status === 'active' && this.pendingBlocks > 0;
  }

  /** Notes one transmission; one segment at a time is timed (RFC 6298, 3). */
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

  /** Everything below `throughSegments` is acknowledged now, by an ACK of `throughSegments - 1`. */
  handleProgress(nowMs: TimeMs, throughSegments: number): void {
    const sequence = throughSegments - 1;
    this.ackedSegments = throughSegments;
    this.waitingSinceMs = nowMs;
    this.nextNumberAcks = 0;
    this.rtt.endBackoff();
    if (this.timedSequence === undefined || this.timedSequence > sequence) return;
    if (this.timedSequence === sequence) {
      // Karn's rule: after a second copy, it cannot be known which one this answers. Where nothing
      // else is in flight, it may become known below.
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
   * A second ACK of the same segment, about as long after the first as the copies were apart: two
   * copies arrived, so the first ACK answered one before the last, and the timeout was too short.
   * The age of that copy is a sample then (PROTOCOL 4.4). An ACK that the network doubled comes
   * sooner, one that a later segment out of sequence brings back comes later.
   */
  handleRepeatedAck(nowMs: TimeMs, sequence: number): void {
    const { doubt } = this;
    if (doubt === undefined || sequence !== doubt.sequence) return;
    this.doubt = undefined;
    const spacing = (nowMs - doubt.atMs) / doubt.copySpacingMs;
    if (spacing >= 0.5 && spacing <= 1.5) this.rtt.sample(doubt.ageMs);
  }

  /** Forgets what is being timed: its answer would measure the receiver's disk, not the path. */
  stopTiming(): void {
    this.timedSequence = undefined;
    this.doubt = undefined;
  }
}
