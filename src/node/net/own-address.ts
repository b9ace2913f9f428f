/** Detects datagrams that come from our own sockets. Such datagrams are forged or looped back. */
import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';
import { isWildcardHost } from '../../base/address.js';
import { reusedLookup } from './reused-lookup.js';

/**
 * @param listening returns the addresses that this process listens on; empty before it listens
 * @returns a function that checks whether an address belongs to a socket of this process
 */
export function createOwnAddressCheck(
  listening: () => readonly Address[],
): (from: Address) => boolean {
  let bound: readonly Address[] = [];
  const hosts = reusedLookup(() => {
    const interfaces = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
    return new Set(interfaces.map(({ address }) => address));
  });
  const isOfThisHost = (host: string): boolean => {
    // The loopback interface owns all of 127.0.0.0/8 but lists only one address.
    const [plainHost = ''] = host.split('%');
    return host.startsWith('127.') || hosts().has(plainHost);
  };
  return (from) => {
    if (bound.length === 0) bound = listening();
    for (const { host, port } of bound) {
      if (port !== from.port) continue;
      if (host === from.host || (isWildcardHost(host) && isOfThisHost(from.host))) return true;
    }
    return false;
  };
}
