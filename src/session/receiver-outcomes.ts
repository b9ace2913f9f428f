/** The outcomes of a session's receivers. Each receiver gets exactly one outcome, which is final. */
import type { TimeMs } from '../base/machine.js';
import type { Delivery } from '../transfer/delivery.js';
import type { SessionPeer } from '../transfer/peer.js';
import type { ControlOutbox } from './control-outbox.js';
import { outcomeOf } from './receiver-status.js';
import type { SessionReceiverOutcome } from './sender-events.js';

export interface ReceiverOutcomesOptions {
  readonly peers: readonly SessionPeer[];
  readonly contentSizeBytes: number;
  readonly outbox: ControlOutbox;
  readonly delivery: Delivery;
  /** Whether no later session will offer this object. */
  readonly isObjectFinal: boolean;
  readonly emit: (event: {
    readonly type: 'receiver';
    readonly outcome: SessionReceiverOutcome;
  }) => void;
}

export class ReceiverOutcomes {
  /** When the last outcome was settled. */
  settledAtMs: TimeMs = 0;
  private unsettledCount: number;
  private isObjectFinal: boolean;

  constructor(private readonly options: ReceiverOutcomesOptions) {
    this.unsettledCount = options.peers.length;
    this.isObjectFinal = options.isObjectFinal;
  }

  get areSettled(): boolean {
    return this.unsettledCount === 0;
  }

  /** The outcomes so far. */
  list(nowMs: TimeMs): SessionReceiverOutcome[] {
    const { peers, contentSizeBytes } = this.options;
    return peers
      .filter((peer) => peer.isSettled)
      .map((peer) => outcomeOf(nowMs, peer, contentSizeBytes));
  }

  settle(
    nowMs: TimeMs,
    peer: SessionPeer,
    status: SessionReceiverOutcome['status'],
    reason?: string,
  ): void {
    if (peer.isSettled) return;
    peer.status = status;
    peer.reason = reason;
    peer.isResponsive = false;
    peer.settledAtMs = nowMs;
    this.settledAtMs = nowMs;
    this.unsettledCount--;
    const { delivery, contentSizeBytes, emit } = this.options;
    delivery.handleChange(peer);
    emit({ type: 'receiver', outcome: outcomeOf(nowMs, peer, contentSizeBytes) });
  }

  /** Sends the receiver a `bye` with the reason and settles its outcome. */
  dismiss(nowMs: TimeMs, peer: SessionPeer, status: 'aborted' | 'failed', reason: string): void {
    if (peer.isSettled) return;
    for (let i = 0; i < abortCopies; i++) this.sendBye(peer, reason);
    this.settle(nowMs, peer, status, reason);
  }

  /**
   * Sends a `bye`. Without a reason it confirms the receiver's outcome; with a reason it ends the receiver's
   * session.
   */
  sendBye(peer: SessionPeer, reason = ''): void {
    const { isObjectFinal: isFinal } = this;
    this.options.outbox.sendMessage(peer, { kind: 'bye', reason, isFinal });
  }

  /**
   * Records that the object will never be offered again. Receivers then need not keep what they have
   * received.
   */
  makeObjectFinal(): void {
    this.isObjectFinal = true;
  }

  /** Hands over all receivers that have no outcome yet: another session offers them the object again. */
  leaveToNextSession(): void {
    for (const peer of this.options.peers) if (!peer.isSettled) peer.status = 'aborted';
    this.unsettledCount = 0;
    this.isObjectFinal = false;
  }
}

/** Number of copies of a `bye` that ends a session early. Receivers do not confirm such a `bye`. */
const abortCopies = 3;
