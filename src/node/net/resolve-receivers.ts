/** Receivers as a user names them, to their addresses. */
import { isIPv6 } from 'node:net';
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { mapLimited } from '../limited-concurrency.js';
import { checkIsHost } from './receiver-address.js';
import { resolveHost } from './resolve-host.js';
import { findNoRoute } from './routes.js';

/** A receiver as a user names it: host and port. */
export interface ServerSpec {
  /** Host name or IP address. */
  readonly host: string;
  readonly port: number;
  /** What events and results call it; `host` if left out. */
  readonly name?: string;
}

/** A receiver and where it may be. */
export interface FoundReceiver extends ReceiverSpec {
  /** Why this host cannot send to any of its addresses; undefined where it can. */
  readonly noRoute?: string;
}

/** Of names; a name server is not flooded. */
const lookupsAtOnce = 8;

/**
 * Names are looked up side by side; of several faults, the first receiver's is told.
 * @throws P2mpError INVALID_ARGUMENT where none is named, where a port is none, where two are one receiver,
 *   and where one is a group or a broadcast address; UNKNOWN_HOST
 */
export async function resolveReceivers(specs: readonly ServerSpec[]): Promise<FoundReceiver[]> {
  if (specs.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'no receiver: name at least one');
  }
  for (const { host, port, name = host } of specs) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      const message = `port ${port} of ${name}: must be a whole number from 1 to 65535`;
      throw new P2mpError('INVALID_ARGUMENT', message);
    }
  }
  const found = await mapLimited(specs, lookupsAtOnce, async ({ host, port, name = host }) => {
    const addresses = await resolveHost(host, port);
    for (const address of addresses) checkIsHost(name, address);
    return { name, ...(await withRoute(addresses)) };
  });
  const nameOf = new Map<string, string>();
  for (const { name, address } of found) checkIsNew(nameOf, name, address);
  // What is the one address of another receiver is no second one of this.
  const isFree = (address: Address) => !nameOf.has(formatAddress(address));
  return found.map(({ otherAddresses = [], ...receiver }) => {
    const others = otherAddresses.filter(isFree);
    return { ...receiver, ...(others.length === 0 ? {} : { otherAddresses: others }) };
  });
}

/** Addresses that the system knows no way to are left out, unless there is no other. */
async function withRoute(
  addresses: readonly [Address, ...Address[]],
): Promise<Omit<FoundReceiver, 'name'>> {
  const reasons = await Promise.all(addresses.map(findNoRoute));
  const [address, ...otherAddresses] = addresses.filter((_, i) => reasons[i] === undefined);
  if (address !== undefined) return { address, otherAddresses };
  return { address: addresses[0], noRoute: reasons[0] ?? '' };
}

/** What to bind so that all of these can be sent to. */
export function wildcardsFor(receivers: readonly FoundReceiver[]): string[] {
  const addresses = receivers.flatMap(({ address, otherAddresses = [], noRoute }) =>
    noRoute === undefined ? [address, ...otherAddresses] : [],
  );
  const hosts = addresses.map(({ host }) => (isIPv6(host) ? '::' : '0.0.0.0'));
  return hosts.length === 0 ? ['0.0.0.0'] : [...new Set(hosts)];
}

function checkIsNew(nameOf: Map<string, string>, name: string, address: Address): void {
  const key = formatAddress(address);
  const twin = nameOf.get(key);
  if (twin !== undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${twin} and ${name} are one receiver (${key}); name it once`,
    );
  }
  nameOf.set(key, name);
}
