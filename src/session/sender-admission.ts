/**
 * Who gets a session at a receiver: senders that have proved a key that is trusted, while there is room (SESSIONS 3).
 * Others get the reason.
 */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { IncomingHandshakes, Proven } from '../security/incoming-handshakes.js';
import { isEqualBytes, toHex } from '../wire/byte-codec.js';
import type { FaultKind } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import type { Refuse } from '../wire/messages.js';
import { encodeMessage } from '../wire/messages.js';
import type { IncomingSession } from './incoming/incoming-session.js';
import type { TurnedAwayEvent } from './receiver-events.js';
import { TurnedAwayLog } from './turned-away-log.js';

/** The end of a handshake: a sender has proved its key. */
export interface Proof extends Proven {
  readonly packet: ChannelPacket;
  readonly from: Address;
  readonly bytes: Uint8Array;
}

/** What the admission needs from its receiver. */
export interface SenderAdmissionOwner {
  /** Whether this receiver is shutting down. */
  isDraining(): boolean;
  /** Why there is no further session for anyone; undefined if there is. */
  refusal(): string | undefined;
  /** @returns why a sender is refused; undefined if it is trusted */
  refuseSender(senderKey: Uint8Array): string | undefined;
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
  emit(event: TurnedAwayEvent): void;
}

export class SenderAdmission {
  private readonly turnedAway = new TurnedAwayLog();

  constructor(
    private readonly handshakes: IncomingHandshakes,
    private readonly owner: SenderAdmissionOwner,
  ) {}

  /** Decides on a new session. A sender that gets none is notified. */
  admits(nowMs: TimeMs, proof: Proof): boolean {
    const { owner } = this;
    const distrust = owner.refuseSender(proof.senderKey);
    const reason = distrust ?? owner.refusal();
    if (reason === undefined) return true;
    const cause = distrust === undefined ? 'no-room' : 'untrusted';
    owner.countFault(cause, proof.from, proof.bytes);
    const isTemporary = distrust === undefined && owner.isDraining();
    if (!isTemporary) this.reportTurnedAway(nowMs, proof, cause, reason);
    this.refuse(nowMs, proof, { kind: 'refuse', reason, isTemporary });
    return false;
  }

  /** The sender has repeated the handshake of a session that is known. */
  reconnect(nowMs: TimeMs, proof: Proof, session: IncomingSession): void {
    const { channel, senderKey, packet, from, bytes } = proof;
    const sameAs = session.secureChannel.receiver;
    if (!isEqualBytes(session.senderKey, senderKey)) {
      this.owner.countFault('bad-handshake', from, bytes);
    } else if (sameAs !== packet.receiver) {
      // The sender lists two of this receiver's addresses; one of them is served.
      const reason = 'is already connected by another of its addresses';
      this.refuse(nowMs, proof, { kind: 'refuse', reason, isTemporary: false, sameAs });
    } else {
      session.rechannel(nowMs, channel, from);
    }
  }

  private refuse(nowMs: TimeMs, { packet, from, channel }: Proof, refusal: Refuse): void {
    this.handshakes.refuse(nowMs, packet, from, channel.seal(encodeMessage(refusal)));
  }

  private reportTurnedAway(
    nowMs: TimeMs,
    { from, senderKey }: Proof,
    cause: TurnedAwayEvent['cause'],
    reason: string,
  ): void {
    // An address object of a shell may have more fields than these two.
    const { host, port } = from;
    const report = this.turnedAway.take(nowMs, host, toHex(senderKey));
    if (report === undefined) return;
    this.owner.emit({
      type: 'turned-away',
      ...{ cause, from: { host, port }, senderKey, reason },
      ...report,
    });
  }
}
