/**
 * Tracks which receivers have confirmed the end of the file (PROTOCOL 5.3, 5.9). All data is acknowledged
 * before the end marker is sent. A receiver that does not answer the end marker therefore normally counts as
 * complete.
 */

import { at } from '../base/assert.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import { encodeIdentify } from '../packet.js';
import type { Block } from '../transfer/block-window.js';
import { senderDefaults } from './config.js';
import type { Peer } from './peer.js';

/** Reason given for a receiver that is complete but did not confirm the end. */
const unconfirmed = 'its end was not confirmed';

/** Reason given for a receiver that answers both the only segment and the end marker with ACK 0. */
const alwaysZero =
  'answers everything with ACK 0, so it might still expect segment 0; nothing shows that it stored the file';

/** One receiver's answers to the end marker. */
interface EndAnswers {
  /** Number of datagrams sent to the receiver before the end marker. All of these datagrams carry data. */
  datagramsBeforeEnd: number;
  /**
   * Whether the receiver has repeated an earlier ACK since the last check. A receiver does so while it stores
   * the file.
   */
  isAnswering: boolean;
  hasAnswered: boolean;
}

/** Outcome of a receiver that did not confirm the end. */
export interface UnconfirmedOutcome {
  readonly status: 'complete' | 'failed';
  readonly reason: string;
}

/**
 * Asks receivers to identify themselves, and decides the outcome of those that do not acknowledge the end
 * marker.
 */
export class EndConfirmation {
  /** Receivers to which an identify request is still to be sent. */
  private readonly requests = new Queue<Peer>();
  private readonly answers: readonly EndAnswers[];

  constructor(
    private readonly peers: readonly Peer[],
    private readonly segmentCount: number,
  ) {
    this.answers = peers.map(() => ({
      datagramsBeforeEnd: 0,
      isAnswering: false,
      hasAnswered: false,
    }));
  }

  /** Starts the confirmation. The sender calls this method when it declares the end. */
  begin(): void {
    for (const peer of this.peers) this.of(peer).datagramsBeforeEnd = peer.datagramsSent;
    this.requestIdentities();
  }

  /**
   * Queues an identify request for each receiver that has not identified itself. Unless the file is empty,
   * the request is sent before the end marker, because the ACK of the end marker may settle the receiver's
   * outcome.
   */
  requestIdentities(): void {
    for (const peer of this.peers) {
      if (peer.status === 'active' && !peer.isIdentified) this.requests.push(peer);
    }
  }

  /** The next identify request. */
  pollTransmit(): Transmit | undefined {
    for (;;) {
      const peer = this.requests.shift();
      if (peer === undefined) return undefined;
      if (peer.status !== 'active' || peer.isIdentified) continue;
      return { to: peer.address, bytes: encodeIdentify(this.segmentCount) };
    }
  }

  /** Records that the receiver repeated an earlier ACK after the end was declared. */
  noteRepeatedAck(peer: Peer): void {
    const answers = this.of(peer);
    answers.isAnswering = true;
    answers.hasAnswered = true;
  }

  /**
   * Once the end marker has been sent in enough rounds, returns the receivers for which the sender stops
   * waiting. A receiver that still repeats its last ACK is storing the file. The sender keeps sending the end
   * marker to such a receiver until the liveness timeout.
   */
  takeUnanswered(nowMs: TimeMs, endMarker: Block): Peer[] {
    if (endMarker.round < senderDefaults.endRounds) return [];
    return this.peers.filter((peer) => {
      // If the file is empty, a receiver acknowledges only the end marker. Without that ACK, the receiver's
      // state is unknown.
      if (!endMarker.isPending(peer.index) || peer.ackedSegments === 0) return false;
      if (nowMs - peer.waitingSinceMs < senderDefaults.endMarkerTimeoutMs) return false;
      const answers = this.of(peer);
      const isUnanswered = !answers.isAnswering;
      answers.isAnswering = false;
      return isUnanswered;
    });
  }

  /**
   * Decides the outcome of a receiver that did not confirm the end. If the file has a single segment, ACK 0
   * is ambiguous: it can name the segment received or the next segment expected. If the number of ACKs
   * exceeds the number of copies of that segment, some ACKs must have answered the end marker. The receiver
   * then fails, unless it has identified itself.
   */
  judgeUnconfirmed(peer: Peer): UnconfirmedOutcome {
    const { hasAnswered, datagramsBeforeEnd } = this.of(peer);
    const isDoubtful =
      this.segmentCount === 1 &&
      hasAnswered &&
      peer.acks > datagramsBeforeEnd &&
      !peer.isIdentified;
    return isDoubtful
      ? { status: 'failed', reason: alwaysZero }
      : { status: 'complete', reason: unconfirmed };
  }

  private of(peer: Peer): EndAnswers {
    return at(this.answers, peer.index);
  }
}
