/**
 * The pairs of addresses by which a handshake goes while nobody has answered. Where there are several, each request goes
 * by all of them, and the session begins by the one whose answer is the first (SESSIONS 3.13). A pair that has an end in
 * common with an earlier one leads from one network to another, perhaps: it waits for a moment whether the earlier one
 * answers, too.
 */
import type { Address, Arrival } from '../base/address.js';
import { sameAddress } from '../base/address.js';
import { maxPaths } from '../wire/paths.js';
import { pairPaths } from './pair-paths.js';
import type { Path, PathEnds } from './path.js';

/**
 * @param hosts addresses of this host; if empty, the system chooses the one to send from
 * @param announced addresses that the other host has named itself
 * @returns the pair in use first; only that one if no side has chosen its addresses
 */
export function firstPaths(
  hosts: readonly string[],
  path: Path,
  announced: readonly Address[] = [],
): readonly PathEnds[] {
  const isHere = path.from === undefined || hosts.length === 0 || hosts.includes(path.from);
  const current = isHere ? path.ends : { address: path.address };
  if (hosts.length + announced.length === 0) return [current];
  const addresses = [...path.addresses.all, ...announced];
  return [current, ...pairPaths(hosts, addresses, [current], maxPaths - 1)];
}

/**
 * The pair by which an answer has come; undefined if it is none of them. A host with several addresses need not answer
 * from the one to which the request went.
 */
export function answeredPath(pairs: readonly PathEnds[], from: Arrival): PathEnds | undefined {
  return pairFrom(pairs, from) ?? pairs.find((each) => isAt(each, from));
}

/** The pair by which a datagram came, unless its source is none of the addresses. */
export function pairFrom(pairs: readonly PathEnds[], from: Arrival): PathEnds | undefined {
  const isSource = ({ address }: PathEnds) => sameAddress(address, from);
  return pairs.find((each) => isAt(each, from) && isSource(each)) ?? pairs.find(isSource);
}

function isAt({ localHost }: PathEnds, from: Arrival): boolean {
  return from.localHost !== undefined && localHost === from.localHost;
}

/** Whether an earlier pair has an end in common with this one. */
export function isSecondChoice(pairs: readonly PathEnds[], ends: PathEnds): boolean {
  const { address, localHost } = ends;
  const earlier = pairs.slice(0, pairs.indexOf(ends));
  const isShared = (host: string | undefined) => host !== undefined && host === localHost;
  return earlier.some((each) => isShared(each.localHost) || sameAddress(each.address, address));
}
