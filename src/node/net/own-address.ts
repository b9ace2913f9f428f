/** Detects datagrams that come from our own sockets. Such datagrams are forged or looped back. */
import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';

/**
 * Time for which the list of interfaces is reused, so that a flood does not cause a lookup for each datagram.
 */
const interfacesAgeMs = 1000;

/**
 * @param listening returns the addresses that this process listens on; empty before it listens
 * @returns a function that checks whether an address belongs to a socket of this process
 */
export function createOwnAddressCheck(
  listening: () => readonly Address[],
): (from: Address) => boolean {
  let bound: readonly Address[] = [];
  let hosts = new Set<string>();
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const isOfThisHost = (host: string): boolean => {
    const nowMs = performance.now();
    if (nowMs - lookedAtMs >= interfacesAgeMs) {
      lookedAtMs = nowMs;
      const interfaces = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
      hosts = new Set(interfaces.map(({ address }) => address));
    }
    // The loopback interface owns all of 127.0.0.0/8 but lists only one address.
    const [plainHost = ''] = host.split('%');
    return host.startsWith('127.') || hosts.has(plainHost);
  };
  return (from) => {
    if (bound.length === 0) bound = listening();
    for (const { host, port } of bound) {
      if (port !== from.port) continue;
      if (host === from.host || (isWildcard(host) && isOfThisHost(from.host))) return true;
    }
    return false;
  };
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
