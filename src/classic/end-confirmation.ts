/**
 * Which receivers have confirmed the end of the file (PROTOCOL 5.3, 5.9). By then all data is
 * acknowledged, so a receiver that does not answer the end marker has not failed.
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

/** Reason given for a receiver whose ACKs of the only segment and of the end are identical. */
const alwaysZero =
  'answers everything with ACK 0, which may mean that it still expects segment 0; nothing shows that it stored the file';

/** How one receiver has answered the end marker. */
interface EndAnswers {
  /** Datagrams sent to it before the end was declared: copies of data. */
  datagramsBeforeEnd: number;
  /** Whether it repeated an earlier ACK since the last check: it is still storing the file. */
  isAnswering: boolean;
  hasAnswered: boolean;
}

/** Outcome of a receiver that did not confirm the end. */
export interface UnconfirmedOutcome {
  readonly status: 'complete' | 'failed';
  readonly reason: string;
}

/** Asks receivers to identify themselves, and judges those that do not acknowledge the end marker. */
export class EndConfirmation {
  /** Receivers to send an identify request. */
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

  /** The sender declares the end now. */
  begin(): void {
    for (const peer of this.peers) this.of(peer).datagramsBeforeEnd = peer.datagramsSent;
    this.requestIdentities();
  }

  /**
   * Queues an identify request to each unidentified receiver, ahead of the end marker whose ACK may
   * settle it.
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

  /** The receiver repeated an earlier ACK after the end was declared. */
  noteRepeatedAck(peer: Peer): void {
    const answers = this.of(peer);
    answers.isAnswering = true;
    answers.hasAnswered = true;
  }

  /**
   * The receivers to wait for no longer, after enough rounds of the end marker. One that still
   * repeats its last ACK is storing the file, so the end marker is sent to it until the liveness
   * timeout.
   */
  takeUnanswered(nowMs: TimeMs, endMarker: Block): Peer[] {
    if (endMarker.round < senderDefaults.endRounds) return [];
    return this.peers.filter((peer) => {
      // An empty file has only its end marker to acknowledge; without that ACK nothing is known.
      if (!endMarker.isPending(peer.index) || peer.ackedSegments === 0) return false;
      if (nowMs - peer.waitingSinceMs < senderDefaults.endMarkerTimeoutMs) return false;
      const answers = this.of(peer);
      const isUnanswered = !answers.isAnswering;
      answers.isAnswering = false;
      return isUnanswered;
    });
  }

  /**
   * Judges a receiver that did not confirm the end. With a single segment, ACK 0 may name the
   * segment received or the next one expected. Only more ACKs than copies of the segment show that
   * some of them answered the end marker.
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
