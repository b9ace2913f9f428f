/** Resolves host names once, before a transfer. The core uses only addresses. */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import type { Address } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';

/**
 * @returns the first IPv4 address and the first IPv6 address of a name. IPv4 comes first, because most
 *   receivers listen there.
 * @throws P2mpError UNKNOWN_HOST
 */
export async function resolveHost(host: string, port: number): Promise<[Address, ...Address[]]> {
  let found: LookupAddress[];
  try {
    found = await lookup(host, { all: true, order: 'ipv4first' } as { all: true });
  } catch (error) {
    throw unknownHost(host, error);
  }
  const [first] = found;
  if (first === undefined) throw unknownHost(host, undefined);
  const other = found.find(({ family }) => family !== first.family);
  const addresses = other === undefined ? [] : [{ host: other.address, port }];
  return [{ host: first.address, port }, ...addresses];
}

function unknownHost(host: string, cause: unknown): P2mpError {
  const message = `${host}: unknown host name; check the spelling or use an address`;
  return new P2mpError('UNKNOWN_HOST', message, { cause });
}
