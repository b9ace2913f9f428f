/** Chooses the pairs of addresses that may become paths to a receiver. */
import type { Address } from '../base/address.js';
import { isIPv6, sameAddress } from '../base/address.js';
import type { PathEnds } from './path.js';

type Ends = Pick<PathEnds, 'address' | 'localHost'>;

interface Pair {
  readonly host: string | undefined;
  readonly address: Address;
  readonly commonBits: number;
}

/**
 * Chooses pairs of which each brings an address of this host or of the receiver that no path uses yet. Addresses with
 * the longest common prefix come first, because they are on one network.
 * @param hosts addresses of this host; if empty, the system chooses the one to send from
 * @param addresses addresses of the receiver
 * @param existing the paths that exist, the first one first
 * @param count the maximum number of pairs
 */
export function pairPaths(
  hosts: readonly string[],
  addresses: readonly Address[],
  existing: readonly [Ends, ...Ends[]],
  count: number,
): PathEnds[] {
  const [first] = existing;
  const pairs: Pair[] = [];
  const isKnown = addresses.some((each) => sameAddress(each, first.address));
  for (const address of isKnown ? addresses : [first.address, ...addresses]) {
    for (const host of hosts.length === 0 ? [undefined] : hosts) {
      const isOneFamily = host === undefined || isIPv6(host) === isIPv6(address.host);
      if (isOneFamily) pairs.push({ host, address, commonBits: commonBits(host, address.host) });
    }
  }
  pairs.sort((a, b) => b.commonBits - a.commonBits);
  const firstHost =
    first.localHost ?? pairs.find(({ address }) => sameAddress(address, first.address))?.host;
  const usedHosts = new Set([firstHost, ...existing.map(({ localHost }) => localHost)]);
  const used: Address[] = existing.map(({ address }) => address);
  const chosen: PathEnds[] = [];
  for (const areBothNew of [true, false]) {
    for (const { host, address } of pairs) {
      const isHostNew = hosts.length > 0 && !usedHosts.has(host);
      const isAddressNew = !used.some((each) => sameAddress(each, address));
      const isWanted = areBothNew ? isHostNew && isAddressNew : isHostNew || isAddressNew;
      if (!isWanted || chosen.length === count) continue;
      chosen.push(host === undefined ? { address } : { address, localHost: host });
      usedHosts.add(host);
      used.push(address);
    }
  }
  return chosen;
}

/** Number of leading bits that two IPv4 addresses, or leading digits that two other addresses, have in common. */
export function commonBits(a: string | undefined, b: string): number {
  if (a === undefined) return 0;
  const [x, y] = [parseV4(a), parseV4(b)];
  if (x !== undefined && y !== undefined) return Math.clz32(x ^ y);
  let count = 0;
  while (count < a.length && a[count] === b[count]) count++;
  return count;
}

function parseV4(host: string): number | undefined {
  const parts = host.split('.').map(Number);
  const isV4 = parts.length === 4 && parts.every((part) => part >= 0 && part <= 255);
  return isV4 ? parts.reduce((value, part) => value * 256 + part, 0) : undefined;
}
