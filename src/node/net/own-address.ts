/** Whether a datagram comes from a socket of our own: what seems to is forged, or runs in a circle. */
import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';

/** Addresses of interfaces come and go, but they are looked up for every datagram in a flood. */
const interfacesAgeMs = 1000;

/**
 * @param listening where this process listens, once it does
 * @returns whether an address is one of those
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
    // The loopback interface has the whole of 127.0.0.0/8, and names one address of it.
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
