/** Receivers as a user names them, to their addresses. */
import type { Address } from '../address.js';
import { formatAddress } from '../address.js';
import { at } from '../assert.js';
import { P2mpError } from '../errors.js';
import type { ReceiverSpec } from '../sender-options.js';
import { mapLimited } from './limited-concurrency.js';
import { checkIsHost } from './receiver-address.js';
import { resolveHost } from './resolve-host.js';

export interface ServerSpec {
  /** Host name or IP address. */
  readonly host: string;
  readonly port: number;
  /** What events and results call it; `host` if left out. */
  readonly name?: string;
}

/** Of names; a name server is not flooded. */
const lookupsAtOnce = 8;

/**
 * Names are looked up side by side; of several faults, the first receiver's is told.
 * @throws P2mpError INVALID_ARGUMENT where none is named, where a port is none, where two are one receiver,
 *   and where one is a group or a broadcast address; UNKNOWN_HOST
 */
export async function resolveReceivers(specs: readonly ServerSpec[]): Promise<ReceiverSpec[]> {
  if (specs.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'no receiver: name at least one');
  }
  for (const { host, port, name = host } of specs) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      const message = `port ${port} of ${name}: must be a whole number from 1 to 65535`;
      throw new P2mpError('INVALID_ARGUMENT', message);
    }
  }
  const addresses = await mapLimited(specs, lookupsAtOnce, ({ host, port }) =>
    resolveHost(host, port),
  );
  const nameOf = new Map<string, string>();
  return specs.map(({ host, name = host }, index) => {
    const address = at(addresses, index);
    checkIsHost(name, address);
    checkIsNew(nameOf, name, address);
    return { name, address };
  });
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
