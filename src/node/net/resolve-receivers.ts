/** Finds the addresses of the receivers that a user has named. */

import type { Address } from '../../base/address.js';
import { formatAddress, isIPv6 } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { mapLimited } from '../limited-concurrency.js';
import { localAddressTowards } from './groups/group-address.js';
import type { LocalPath } from './paths/local-paths.js';
import { checkIsHost } from './receiver-address.js';
import { resolveHost } from './resolve-host.js';
import { findNoRoute } from './routes.js';

/** A receiver as a user names it: host and port. */
export interface ServerSpec {
  /** Host name or IP address. */
  readonly host: string;
  /** UDP port. */
  readonly port: number;
  /** Name in events and results; `host` by default. */
  readonly name?: string;
}

/** A receiver and its addresses. */
export interface FoundReceiver extends ReceiverSpec {
  /** Reason why this host cannot send to any address of the receiver; undefined if it can. */
  readonly noRoute?: string;
}

/** Maximum number of concurrent name lookups, to limit the load on name servers. */
const lookupsAtOnce = 8;

/**
 * Resolves names concurrently. If several receivers have errors, throws the error of the first of these
 * receivers.
 * @param handleUnknown called for each unknown host, which is then left out; by default, it is an error
 * @throws P2mpError INVALID_ARGUMENT if there is no receiver, an invalid port, a duplicate receiver, or a
 *   multicast or broadcast address; UNKNOWN_HOST
 */
export async function resolveReceivers(
  specs: readonly ServerSpec[],
  handleUnknown?: (spec: ServerSpec, error: P2mpError) => void,
): Promise<FoundReceiver[]> {
  if (specs.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'no host: name at least one');
  }
  for (const { host, port, name = host } of specs) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      const message = `port ${port} of ${name}: must be a whole number from 1 to 65535`;
      throw new P2mpError('INVALID_ARGUMENT', message);
    }
  }
  const looked = await mapLimited(specs, lookupsAtOnce, async (spec) => {
    const { host, name = host } = spec;
    const addresses = await lookUp(spec, handleUnknown);
    if (addresses === undefined) return undefined;
    for (const address of addresses) checkIsHost(name, address);
    return { name, ...(await withRoute(addresses)) };
  });
  const found = looked.filter((each) => each !== undefined);
  const nameOf = new Map<string, string>();
  for (const { name, address } of found) checkIsNew(nameOf, name, address);
  // Drop alternative addresses that are the main address of another receiver.
  const isFree = (address: Address) => !nameOf.has(formatAddress(address));
  return found.map(({ otherAddresses = [], ...receiver }) => {
    const others = otherAddresses.filter(isFree);
    return { ...receiver, ...(others.length === 0 ? {} : { otherAddresses: others }) };
  });
}

async function lookUp(
  spec: ServerSpec,
  handleUnknown?: (spec: ServerSpec, error: P2mpError) => void,
): Promise<[Address, ...Address[]] | undefined> {
  try {
    return await resolveHost(spec.host, spec.port);
  } catch (error) {
    const isUnknown = error instanceof P2mpError && error.code === 'UNKNOWN_HOST';
    if (!isUnknown || handleUnknown === undefined) throw error;
    handleUnknown(spec, error);
    return undefined;
  }
}

/** Drops addresses without a route. If no address has a route, keeps the first address and the reason. */
async function withRoute(
  addresses: readonly [Address, ...Address[]],
): Promise<Omit<FoundReceiver, 'name'>> {
  const reasons = await Promise.all(addresses.map(findNoRoute));
  const [address, ...otherAddresses] = addresses.filter((_, i) => reasons[i] === undefined);
  if (address !== undefined) return { address, otherAddresses };
  return { address: addresses[0], noRoute: reasons[0] ?? '' };
}

/**
 * Says from which of these local hosts the first path to each receiver begins: from the one that the system chooses.
 * @param localHosts none if the system chooses for each datagram
 */
export async function withLocalHosts(
  receivers: readonly FoundReceiver[],
  localHosts: readonly string[],
): Promise<FoundReceiver[]> {
  if (localHosts.length === 0) return [...receivers];
  return mapLimited(receivers, lookupsAtOnce, async (receiver) => {
    const localHost = await localAddressTowards(receiver.address);
    const isChosen = localHost !== undefined && localHosts.includes(localHost);
    return isChosen ? { ...receiver, localHost } : receiver;
  });
}

/**
 * @param paths local addresses that are bound as well
 * @returns the wildcard addresses to bind in order to send to all of these receivers
 */
export function wildcardsFor(
  receivers: readonly FoundReceiver[],
  paths: readonly LocalPath[] = [],
): string[] {
  const addresses = receivers.flatMap(({ address, otherAddresses = [], noRoute }) =>
    noRoute === undefined ? [address, ...otherAddresses] : [],
  );
  const hosts = addresses.map(({ host }) => (isIPv6(host) ? '::' : '0.0.0.0'));
  const isPath = (host: string) => paths.some((path) => isIPv6(path.host) === isIPv6(host));
  const wanted = [...new Set(hosts)].filter((host) => !isPath(host));
  return wanted.length + paths.length === 0 ? ['0.0.0.0'] : wanted;
}

function checkIsNew(nameOf: Map<string, string>, name: string, address: Address): void {
  const key = formatAddress(address);
  const twin = nameOf.get(key);
  if (twin !== undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${twin} and ${name} are the same host and port (${key}); name it once`,
    );
  }
  nameOf.set(key, name);
}
