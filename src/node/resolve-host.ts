/** Host names to addresses, once and before a transfer: the engine only ever sees addresses. */
import { lookup } from 'node:dns/promises';
import type { Address } from '../address.js';
import { P2mpError } from '../errors.js';

/**
 * IPv4 first where a name has both: most receivers listen on IPv4 alone.
 * @throws P2mpError UNKNOWN_HOST
 */
export async function resolveHost(host: string, port: number): Promise<Address> {
  try {
    const [first] = await lookup(host, { all: true, order: 'ipv4first' } as { all: true });
    if (first !== undefined) return { host: first.address, port };
  } catch (error) {
    throw unknownHost(host, error);
  }
  throw unknownHost(host, undefined);
}

function unknownHost(host: string, cause: unknown): P2mpError {
  const message = `${host}: no host of this name is known; check its spelling, or give its address`;
  return new P2mpError('UNKNOWN_HOST', message, { cause });
}
