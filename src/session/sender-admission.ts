/**
 * Decides which senders get a session at a receiver: those that prove a trusted key or an invitation, while there is
 * room (SESSIONS 3). Every other sender is sent the reason for its refusal.
 */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { SessionCrypto } from '../security/crypto.js';
import type { IncomingHandshakes, Proven } from '../security/incoming-handshakes.js';
import { Invitation, Invitations } from '../security/invitations.js';
import { isEqualBytes, toHex } from '../wire/byte-codec.js';
import type { FaultKind } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import type { Refuse } from '../wire/messages.js';
import { encodeMessage } from '../wire/messages.js';
import type { IncomingSession } from './incoming/incoming-session.js';
import type { InvitedEvent, TurnedAwayEvent } from './receiver-events.js';
import { TurnedAwayLog } from './turned-away-log.js';

/** The last packet of a handshake, and the sender's key, which the packet authenticates. */
export interface Proof extends Proven {
  readonly packet: ChannelPacket;
  readonly from: Address;
  readonly bytes: Uint8Array;
}

/** Functions that the receiver provides to its `SenderAdmission`. */
export interface SenderAdmissionOwner {
  /** Whether this receiver is shutting down. */
  isDraining(): boolean;
  /** Reason to refuse any new session; undefined if there is room for one. */
  refusal(): string | undefined;
  /** @returns the reason to refuse this sender; undefined if the sender is trusted */
  refuseSender(senderKey: Uint8Array): string | undefined;
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
  emit(event: InvitedEvent | TurnedAwayEvent): void;
}

/** How a sender got its session. */
export interface Admission {
  /** Whether only an invitation has admitted it. */
  readonly isInvited: boolean;
}

/** Why a sender gets no session. */
interface Rejection {
  readonly cause: TurnedAwayEvent['cause'];
  readonly reason: string;
}

export class SenderAdmission {
  readonly invitations: Invitations;
  private readonly turnedAway = new TurnedAwayLog();

  constructor(
    private readonly handshakes: IncomingHandshakes,
    crypto: SessionCrypto,
    private readonly owner: SenderAdmissionOwner,
  ) {
    this.invitations = new Invitations(crypto);
  }

  /** Decides whether a sender gets a new session. If not, sends the reason to the sender, and returns undefined. */
  admit(nowMs: TimeMs, proof: Proof): Admission | undefined {
    const { owner } = this;
    const { peerKey: senderKey, invitationProof, from } = proof;
    const distrust = owner.refuseSender(senderKey);
    // A trusted sender that repeats its command does not use up its invitation again.
    const judged =
      distrust === undefined ? undefined : this.invitations.judge(nowMs, distrust, invitationProof);
    const isInvited = judged instanceof Invitation;
    const rejection = judged === undefined || isInvited ? this.rejectForRoom() : judged;
    if (rejection !== undefined) {
      this.reject(nowMs, proof, rejection);
      return undefined;
    }
    if (isInvited) {
      judged.use();
      const { usesLeft } = judged;
      owner.emit({ type: 'invited', from: addressOf(from), senderKey, usesLeft });
    }
    return { isInvited };
  }

  private rejectForRoom(): Rejection | undefined {
    const reason = this.owner.refusal();
    return reason === undefined ? undefined : { cause: 'no-room', reason };
  }

  private reject(nowMs: TimeMs, proof: Proof, { cause, reason }: Rejection): void {
    const { owner } = this;
    const fault = cause === 'no-room' ? 'no-room' : 'untrusted';
    owner.countFault(fault, proof.from, proof.bytes);
    const isTemporary = cause === 'no-room' && owner.isDraining();
    if (!isTemporary) this.reportTurnedAway(nowMs, proof, cause, reason);
    this.refuse(nowMs, proof, { kind: 'refuse', reason, isTemporary });
  }

  /** Handles a handshake for a session that already exists at this receiver. */
  reconnect(nowMs: TimeMs, proof: Proof, session: IncomingSession): void {
    const { channel, peerKey, packet, from, bytes } = proof;
    const sameAs = session.secureChannel.receiver;
    if (!isEqualBytes(session.senderKey, peerKey)) {
      this.owner.countFault('bad-handshake', from, bytes);
    } else if (sameAs !== packet.receiver) {
      // The sender lists two addresses of this receiver. This session already exists through the other one.
      const reason = 'is already connected through another of its addresses';
      this.refuse(nowMs, proof, { kind: 'refuse', reason, isTemporary: false, sameAs });
    } else {
      session.rechannel(nowMs, channel, from);
    }
  }

  /** Refuses a receiver that wants to ask for objects: this host serves none. */
  refuseAsker(nowMs: TimeMs, proof: Proof): void {
    this.owner.countFault('untrusted', proof.from, proof.bytes);
    this.refuse(nowMs, proof, { kind: 'refuse', reason: 'serves nothing', isTemporary: false });
  }

  private refuse(nowMs: TimeMs, { packet, from, channel }: Proof, refusal: Refuse): void {
    this.handshakes.refuse(nowMs, packet, from, channel.seal(encodeMessage(refusal)));
  }

  private reportTurnedAway(
    nowMs: TimeMs,
    { from, peerKey: senderKey }: Proof,
    cause: TurnedAwayEvent['cause'],
    reason: string,
  ): void {
    const report = this.turnedAway.take(nowMs, from.host, toHex(senderKey));
    if (report === undefined) return;
    this.owner.emit({
      type: 'turned-away',
      ...{ cause, from: addressOf(from), senderKey, reason },
      ...report,
    });
  }
}

/** The address object might come from a shell and have other fields besides these two. */
function addressOf({ host, port }: Address): Address {
  return { host, port };
}
