/** Whether receivers that discovery has found are trusted here, and under which address to reach them. */
import type { Address } from '../../base/address.js';
import { formatAddress, isLoopbackHost } from '../../base/address.js';
import type { AnnouncedReceiver } from '../../discovery/receiver-search.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { isLinkLocal } from '../../node/net/discovery/links.js';
import type { TrustReceiver } from '../../node/send-options.js';

/**
 * - `trusted`: the list of known receivers has the key that the receiver announces
 * - `unknown`: it has neither this key nor another one for this address
 * - `changed`: it has another key for this address
 */
export type AnnouncedTrust = 'trusted' | 'unknown' | 'changed';

export function trustOf(receiver: AnnouncedReceiver, known: KnownReceivers): AnnouncedTrust {
  const { receiverKey, addresses } = receiver;
  if (known.namesOf(receiverKey).length > 0) return 'trusted';
  const checks = addresses.map((address) => known.check(formatAddress(address), receiverKey));
  return checks.some(({ status }) => status === 'changed') ? 'changed' : 'unknown';
}

/**
 * Chooses the address at which to reach the receiver: one that is in the list of known receivers, else one that other
 * hosts reach, IPv4 first, because multicast needs receivers of one IP version.
 */
export function addressOf(
  { receiverKey, addresses }: AnnouncedReceiver,
  known: KnownReceivers,
): Address {
  const names = known.namesOf(receiverKey);
  const rank = (address: Address) => {
    if (names.includes(formatAddress(address))) return 0;
    if (isLoopbackHost(address.host)) return 4;
    if (isLinkLocal(address.host)) return 3;
    return address.host.includes(':') ? 2 : 1;
  };
  const [best] = [...addresses].sort((a, b) => rank(a) - rank(b));
  // A receiver is found by an answer, which comes from an address.
  return best as Address;
}

/** @returns the receivers in an order that does not depend on which one answered first: trusted ones, then by address */
export function sortReceivers(
  receivers: readonly AnnouncedReceiver[],
  known: KnownReceivers,
): AnnouncedReceiver[] {
  const collator = new Intl.Collator('en', { numeric: true });
  const keyed = receivers.map((receiver) => ({
    receiver,
    isTrusted: trustOf(receiver, known) === 'trusted',
    address: formatAddress(addressOf(receiver, known)),
  }));
  keyed.sort(
    (a, b) => Number(b.isTrusted) - Number(a.isTrusted) || collator.compare(a.address, b.address),
  );
  return keyed.map(({ receiver }) => receiver);
}

/**
 * Trusts found receivers only with the key that they announced, so that another host that answers at their address
 * gets nothing.
 * @param fingerprints of the announced keys, by `host:port`
 * @param trustOthers decides about all other receivers, and about announced keys that are not known
 */
export function trustAnnounced(
  fingerprints: ReadonlyMap<string, string>,
  known: KnownReceivers,
  trustOthers: TrustReceiver,
): TrustReceiver {
  return async (name, receiverKey) => {
    const announced = fingerprints.get(name);
    const shown = fingerprint(receiverKey);
    if (announced !== undefined && announced !== shown) {
      return `its key ${shown} is not the key that was announced for this address, ${announced}: another host answers here, or the announcement was forged`;
    }
    const isKnown = announced !== undefined && known.namesOf(receiverKey).length > 0;
    return isKnown ? true : trustOthers(name, receiverKey);
  };
}
