/** Explains why a socket could not be bound. */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';

const remedies: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; stop the program that uses it, or choose another port',
  EACCES: 'permission denied; choose a port from 1024, or run with permission to bind this port',
  EADDRNOTAVAIL: 'this host has no such address; use an address of this host',
  EINVAL: 'not an IP address; use an address of this host',
  ENOTFOUND: 'not an IP address; use an address of this host',
  EAFNOSUPPORT: 'this host does not support that IP version',
};

export function bindError(error: NodeJS.ErrnoException, address: Address): P2mpError {
  const remedy = remedies[error.code ?? ''] ?? error.message;
  return new P2mpError('PORT_UNAVAILABLE', `UDP ${formatAddress(address)}: ${remedy}`, {
    cause: error,
  });
}
