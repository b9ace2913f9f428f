/** The path MTU to an address, as far as the system knows it. */

import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';
import { isIPv6 } from '../../base/address.js';
import type { Descriptor, SystemCalls } from './offload/offload-system.js';
import { loadSystemCalls, socketOptions } from './offload/offload-system.js';

/** Headers of IP and UDP, without options. */
const headerBytes = { IPv4: 28, IPv6: 48 };

/** Maximum payload of UDP over IPv4 and IPv6. */
const largestPayloadBytes = { IPv4: 65_507, IPv6: 65_527 };

export interface PathMtuOptions {
  /** The local address to send from. For a multicast group, this address selects the interface. */
  readonly from?: string;
  /** As for an endpoint. */
  readonly loadSystemCalls?: () => SystemCalls;
}

/**
 * Asks the system for the path MTU: the size of the largest IP datagram, including headers, that arrives
 * unfragmented. At first, the system knows only the MTU of the interface or route. It learns of a smaller MTU
 * when a router reports one, so ask again when a send fails with EMSGSIZE. Sends nothing.
 * @returns undefined if the system does not support the query or has no route
 */
export function pathMtuBytes(to: Address, options: PathMtuOptions = {}): number | undefined {
  try {
    return askSystem((options.loadSystemCalls ?? loadSystemCalls)(), to, options.from);
  } catch {
    return undefined;
  }
}

/** Maximum payload of one UDP datagram on a path with this MTU. */
export function largestDatagramBytes(to: Address, mtuBytes: number): number {
  const family = isIPv6(to.host) ? 'IPv6' : 'IPv4';
  return Math.min(mtuBytes - headerBytes[family], largestPayloadBytes[family]);
}

/** `connect` looks up the route, and the path MTU is a property of the route. */
function askSystem(system: SystemCalls, to: Address, from: string | undefined): number {
  const isV6 = isIPv6(to.host);
  const fd = system.openUdpSocket(isV6);
  try {
    if (from !== undefined) leaveFrom(system, fd, from);
    // Use another port instead of port 0, which `connect` rejects. The route is the same for all ports.
    system.connect(fd, { host: to.host, port: to.port === 0 ? 9 : to.port });
    return system.getOption(fd, isV6 ? socketOptions.ipv6Mtu : socketOptions.ipv4Mtu);
  } finally {
    system.close(fd);
  }
}

function leaveFrom(system: SystemCalls, fd: Descriptor, from: string): void {
  system.bind(fd, { host: from, port: 0 });
  if (!isIPv6(from)) return;
  const index = system.interfaceIndex(interfaceOf(from));
  if (index > 0) system.setOption(fd, socketOptions.ipv6MulticastInterface, index);
}

function interfaceOf(host: string): string {
  const [address, scope] = host.split('%');
  if (scope !== undefined) return scope;
  const found = Object.entries(networkInterfaces()).find(([, infos = []]) =>
    infos.some((info) => info.address === address),
  );
  return found?.[0] ?? '';
}
