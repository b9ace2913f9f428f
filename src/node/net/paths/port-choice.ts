/** Chooses the socket by which a datagram leaves, where there are several. */
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';
import { commonBits } from '../../../path/pair-paths.js';

/** A socket that is bound to an address of this host, or to all of one IP version. */
export interface BoundPort {
  readonly host: string;
  /** `IPv4` or `IPv6`. */
  readonly family: string;
}

/** The socket that is bound to this address and can send to that one. */
export function portAt<P extends BoundPort>(
  ports: readonly P[],
  host: string,
  to: Address,
): P | undefined {
  return ports.find((port) => port.host === host && port.family === familyOf(to));
}

/** The socket whose address has most in common with the destination; the first one of these. */
export function portNear<P extends BoundPort>(ports: readonly P[], to: Address): P | undefined {
  const [first] = ports;
  if (ports.length <= 1) return first;
  const family = familyOf(to);
  let nearest: P | undefined;
  let mostBits = -1;
  for (const port of ports) {
    if (port.family !== family) continue;
    const bits = commonBits(port.host, to.host);
    if (bits <= mostBits) continue;
    mostBits = bits;
    nearest = port;
  }
  return nearest ?? first;
}

export function familyOf({ host }: Pick<Address, 'host'>): string {
  return isIPv6(host) ? 'IPv6' : 'IPv4';
}

/** Whether the host is a multicast group. */
export function isGroupHost(host: string): boolean {
  return isIPv6(host) ? /^ff/i.test(host) : /^2(2[4-9]|3\d)\./.test(host);
}
