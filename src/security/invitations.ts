/**
 * Invitations (SESSIONS 3.15). A receiver, or a host that is asked for objects, draws a secret, and a person carries it to
 * another host together with the key of the first. A host that proves the secret in its handshake is admitted although
 * its key is not known yet. Each invitation is good for a number of uses and for a limited time.
 */
import { assert } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { SessionCrypto } from './crypto.js';

export const invitationLimits = {
  /** 128 bits. */
  secretSizeBytes: 16,
  /** The most invitations that a host keeps. Each further one replaces the oldest. */
  kept: 16,
} as const;

/** How long an invitation lasts. */
export interface InvitationTerms {
  /** The number of hosts that it admits. */
  readonly uses: number;
  readonly lifetimeMs: number;
}

/** An invitation as the invited host has it. */
export interface ReceivedInvitation {
  /** The key of the host that invites. The secret is proved to that host only. */
  readonly inviterKey: Uint8Array;
  readonly secret: Uint8Array;
}

/** What a host shows to prove that it knows a secret. */
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

/** Finds the secret to prove to the host with this key. */
export function secretFor(
  invitations: readonly ReceivedInvitation[],
  inviterKey: Uint8Array,
): Uint8Array | undefined {
  return invitations.find((each) => isEqualBytes(each.inviterKey, inviterKey))?.secret;
}

/** An invitation as the host that made it keeps it: valid at first, later used up or expired. */
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

  /** @returns why the invitation admits nobody now; undefined if it admits a further host */
  refusal(nowMs: TimeMs): string | undefined {
    // Checked before the expiry, so that a late host still learns that somebody else used the invitation.
    if (this.usesLeft === 0) {
      const used = this.uses === 1 ? 'once and was' : `for ${this.uses} uses, and all of them are`;
      return `the invitation was good ${used} used; ${remedy}`;
    }
    return nowMs < this.endsAtMs ? undefined : `the invitation has expired; ${remedy}`;
  }

  /** Counts an admitted host. Call only if `refusal` returns undefined. */
  use(): void {
    assert(this.usesLeft > 0, 'an invitation has uses left');
    this.usedCount++;
  }
}

const remedy = 'run the command there again with --invite for a new one';

const unknownReason = `the other side does not know this invitation, perhaps because it was restarted since; ${remedy}`;

/** Why a host whose key is not trusted is refused. `invitation`: it proves one, which does not admit it either. */
export interface StrangerRefusal {
  readonly cause: 'untrusted' | 'invitation';
  readonly reason: string;
}

/** The invitations that a host has made. They exist only in memory. */
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

  /**
   * Decides about a host whose key is not trusted.
   * @param distrust why it is refused if it proves no invitation
   * @returns the invitation that admits it, or why it is refused
   */
  judge(
    nowMs: TimeMs,
    distrust: string,
    proof: InvitationProof | undefined,
  ): Invitation | StrangerRefusal {
    if (proof === undefined) return { cause: 'untrusted', reason: distrust };
    const invitation = this.find(proof);
    if (invitation === undefined) return { cause: 'invitation', reason: unknownReason };
    const reason = invitation.refusal(nowMs);
    return reason === undefined ? invitation : { cause: 'invitation', reason };
  }

  /** Finds the invitation whose secret was proved. It may have expired or be used up. */
  private find({ hash, proof }: InvitationProof): Invitation | undefined {
    // Always compares all invitations, so that the duration reveals nothing about their secrets.
    const found = this.invitations.filter(({ secret }) =>
      isEqualBytes(proveInvitation(this.crypto, secret, hash), proof),
    );
    return found[0];
  }
}
