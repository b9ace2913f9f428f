/**
 * Invitations (SESSIONS 3.15). A receiver draws a secret, and a person carries it to a sender together with the
 * receiver's key. A sender that proves the secret in its handshake is admitted although the receiver does not know the
 * sender's key yet. Each invitation is good for a number of uses and for a limited time.
 */
import { assert } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { SessionCrypto } from './crypto.js';

export const invitationLimits = {
  /** 128 bits. */
  secretSizeBytes: 16,
  /** The most invitations that a receiver keeps. Each further one replaces the oldest. */
  kept: 16,
} as const;

/** How long an invitation lasts. */
export interface InvitationTerms {
  /** The number of senders that it admits. */
  readonly uses: number;
  readonly lifetimeMs: number;
}

/** An invitation as a sender has it. */
export interface ReceivedInvitation {
  /** The sender proves only to the receiver with this key that it knows the secret. */
  readonly receiverKey: Uint8Array;
  readonly secret: Uint8Array;
}

/** What a sender shows to prove that it knows a secret. */
export interface InvitationProof {
  /** The hash of the handshake that carried the proof. */
  readonly hash: Uint8Array;
  readonly proof: Uint8Array;
}

/**
 * Proves a secret without revealing it.
 * @param hash of the handshake, so that the proof is worthless in any other one
 */
export function proveInvitation(
  { mac }: SessionCrypto,
  secret: Uint8Array,
  hash: Uint8Array,
): Uint8Array {
  return mac(secret, purpose, hash);
}

/** Part of the input of the MAC, so that no other use of the secret yields the same value as a proof. */
const purpose = new TextEncoder().encode('p2mp invitation');

/** Finds the secret to prove to the receiver with this key. */
export function secretFor(
  invitations: readonly ReceivedInvitation[],
  receiverKey: Uint8Array,
): Uint8Array | undefined {
  return invitations.find((each) => isEqualBytes(each.receiverKey, receiverKey))?.secret;
}

/** An invitation as its receiver keeps it: valid at first, later used up or expired. */
export class Invitation {
  private usedCount = 0;

  constructor(
    readonly secret: Uint8Array,
    private readonly uses: number,
    private readonly endsAtMs: TimeMs,
  ) {}

  get usesLeft(): number {
    return this.uses - this.usedCount;
  }

  /** @returns why the invitation admits nobody now; undefined if it admits a further sender */
  refusal(nowMs: TimeMs): string | undefined {
    // Checked before the expiry, so that a late sender still learns that somebody else used the invitation.
    if (this.usesLeft === 0) {
      const used = this.uses === 1 ? 'once and was' : `for ${this.uses} uses, and all of them are`;
      return `the invitation was good ${used} used; ${remedy}`;
    }
    return nowMs < this.endsAtMs ? undefined : `the invitation has expired; ${remedy}`;
  }

  /** Counts an admitted sender. Call only if `refusal` returns undefined. */
  use(): void {
    assert(this.usesLeft > 0, 'an invitation has uses left');
    this.usedCount++;
  }
}

const remedy = 'run p2mp receive --invite there again for a new one';

/** Why a sender is refused if its proof matches no invitation. */
export const unknownInvitationReason = `the receiver does not know this invitation, perhaps because it was restarted since; ${remedy}`;

/** The invitations of a receiver. They exist only in memory. */
export class Invitations {
  /** Oldest first. */
  private readonly invitations: Invitation[] = [];

  constructor(private readonly crypto: SessionCrypto) {}

  /** @returns the secret, which the caller must show to nobody but the person who invites */
  create(nowMs: TimeMs, { uses, lifetimeMs }: InvitationTerms): Uint8Array {
    const secret = this.crypto.random(invitationLimits.secretSizeBytes);
    if (this.invitations.length >= invitationLimits.kept) this.invitations.shift();
    this.invitations.push(new Invitation(secret, uses, nowMs + lifetimeMs));
    return secret;
  }

  /** Finds the invitation whose secret was proved. It may have expired or be used up. */
  find({ hash, proof }: InvitationProof): Invitation | undefined {
    // Always compares all invitations, so that the duration reveals nothing about their secrets.
    const found = this.invitations.filter(({ secret }) =>
      isEqualBytes(proveInvitation(this.crypto, secret, hash), proof),
    );
    return found[0];
  }
}
