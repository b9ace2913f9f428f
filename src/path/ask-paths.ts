/**
 * The pairs of addresses by which an ask can reach a host, and which of them each hello goes by (SESSIONS 3.13). As with
 * Happy Eyeballs (RFC 8305), the best pair has a head start, and those that were tried stay in the race: where the best
 * one works, nothing is sent by others.
 */
import type { Address } from '../base/address.js';
import { isIPv6, sameAddress } from '../base/address.js';
import { maxPaths } from '../wire/paths.js';
import { commonBits, pairPaths } from './pair-paths.js';
import type { Path, PathEnds } from './path.js';

/**
 * @param hosts addresses of this host; if empty, the system chooses the one to send from
 * @param path the pair in use, and all addresses of the other host
 * @returns all pairs: first the one in use, then those of which each brings an address that is not used yet, then those
 *   that lead from one network to another, perhaps
 */
export function askPaths(hosts: readonly string[], path: Path): readonly PathEnds[] {
  const { all } = path.addresses;
  if (hosts.length === 0) {
    const others = all.filter((address) => !sameAddress(address, path.address));
    return [path.ends, ...others.map((address) => ({ address }))];
  }
  const current = { address: path.address, localHost: ownEndOf(hosts, path) };
  const likely = [current, ...pairPaths(hosts, all, [current], Infinity)];
  const crossed = all.flatMap((address) => hosts.map((localHost) => ({ address, localHost })));
  const isNew = (ends: PathEnds) => !likely.some((each) => areSame(each, ends));
  const pairs = [...likely, ...crossed.filter(isNew)].filter(isOfOneVersion);
  return pairs.length === 0 ? [{ address: path.address }] : pairs;
}

/**
 * The pairs by which a hello goes: the first one by the best pair, each of the next by one pair more. Further hellos go
 * by four pairs at a time, until all have been tried, and then begin again.
 * @param attempt the number of the hello, from 1
 */
export function pairsOfHello(pairs: readonly PathEnds[], attempt: number): readonly PathEnds[] {
  const count = Math.min(attempt, maxPaths, pairs.length);
  const first = maxPaths * Math.max(0, attempt - maxPaths);
  return Array.from({ length: count }, (_, i) => pairs[(first + i) % pairs.length] as PathEnds);
}

/** The own address of the pair in use; if it is gone, the one that is nearest to the other end. */
function ownEndOf(hosts: readonly string[], { from, address }: Path): string {
  if (from !== undefined && hosts.includes(from)) return from;
  const bitsTo = (host: string) =>
    isSameVersion(host, address) ? commonBits(host, address.host) : -1;
  return hosts.reduce((best, host) => (bitsTo(host) > bitsTo(best) ? host : best));
}

function areSame(a: PathEnds, b: PathEnds): boolean {
  return a.localHost === b.localHost && sameAddress(a.address, b.address);
}

function isOfOneVersion({ address, localHost = address.host }: PathEnds): boolean {
  return isSameVersion(localHost, address);
}

function isSameVersion(host: string, address: Address): boolean {
  return isIPv6(host) === isIPv6(address.host);
}
