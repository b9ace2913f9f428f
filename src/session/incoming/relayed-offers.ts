/** Whether a receiver takes an offer: from the sender itself, or from a relay that brings the object of another host. */
import { maxHops } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Offer } from '../../wire/offer.js';
import type { SessionReceiverOptions } from '../receiver-options.js';

export type OfferChecks = Pick<SessionReceiverOptions, 'refuseSender' | 'refuseRelay' | 'ownHop'>;

const refusesRelays =
  'takes nothing from relays with this key: give it the right "relay" in authorized_keys there';

/** @returns why a key may not even begin a session; undefined if it may send or relay */
export function refusePeer(checks: OfferChecks, key: Uint8Array): string | undefined {
  const refusal = checks.refuseSender(key);
  return refusal !== undefined && isRelay(checks, key) ? undefined : refusal;
}

/** The host that offers an object. */
export interface OfferingHost {
  readonly key: Uint8Array;
  /** Whether this receiver has asked it for the object. */
  readonly isAsked: boolean;
  /** Whether only an invitation has admitted it. */
  readonly isInvited: boolean;
}

/**
 * An invited host may be a relay: its invitation admits it, and the origin of what it brings (SESSIONS 3.15).
 * @returns why the offer is refused; undefined if it is taken
 */
export function refuseOffer(
  checks: OfferChecks,
  { key, isAsked, isInvited }: OfferingHost,
  { relayed, deletion }: Offer,
): string | undefined {
  if (relayed === undefined) {
    // Everybody who has come so far may send or relay. An invited sender is not known yet.
    return !isAsked && isRelay(checks, key) ? checks.refuseSender(key) : undefined;
  }
  if (isAsked) return 'offers an object of another host, although it was asked for its own';
  const { ownHop } = checks;
  if (ownHop !== undefined) {
    if (relayed.hops.some((hop) => isEqualBytes(hop, ownHop)))
      return 'is part of a loop: the session has come through this relay already';
    if (relayed.hops.length >= maxHops) return `is behind ${maxHops} other relays`;
  }
  const { refuseRelay } = checks;
  const isInvitedRelay = isInvited && refuseRelay !== undefined;
  if (!isInvitedRelay && !isRelay(checks, key)) return refuseRelay?.(key) ?? refusesRelays;
  if (deletion !== 'none') return 'deletes nothing that comes through a relay';
  return isInvitedRelay ? undefined : checks.refuseSender(relayed.originKey);
}

function isRelay({ refuseRelay }: OfferChecks, key: Uint8Array): boolean {
  return refuseRelay !== undefined && refuseRelay(key) === undefined;
}
