/** What one datagram may hold on its way to an address, as far as the system knows. */
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';
import type { Descriptor, SystemCalls } from './offload/offload-system.js';
import { loadSystemCalls, socketOptions } from './offload/offload-system.js';

/** Headers of IP and UDP, without options. */
const headerBytes = { IPv4: 28, IPv6: 48 };

/** What the length of an IPv4 datagram can say, and of an IPv6 payload. */
const largestPayloadBytes = { IPv4: 65_507, IPv6: 65_527 };

export interface PathMtuOptions {
  /** The own address that datagrams leave from; for groups, it says by which interface. */
  readonly from?: string;
  /** As for an endpoint. */
  readonly loadSystemCalls?: () => SystemCalls;
}

/**
 * The largest IP datagram, headers included, that gets there in one piece. At first that is the MTU of
 * the own interface or route; once a router has said that something was too large, what it said. So ask
 * again when a send fails with EMSGSIZE. Nothing is sent.
 * @returns undefined where the system cannot be asked, or has no way to there
 */
export function pathMtuBytes(to: Address, options: PathMtuOptions = {}): number | undefined {
  try {
    return askSystem((options.loadSystemCalls ?? loadSystemCalls)(), to, options.from);
  } catch {
    return undefined;
  }
}

/** The most that one UDP datagram to there can hold. */
export function largestDatagramBytes(to: Address, mtuBytes: number): number {
  const family = isIPv6(to.host) ? 'IPv6' : 'IPv4';
  return Math.min(mtuBytes - headerBytes[family], largestPayloadBytes[family]);
}

/** A socket that is connected has its route, and the route knows. */
function askSystem(system: SystemCalls, to: Address, from: string | undefined): number {
  const isV6 = isIPv6(to.host);
  const fd = system.openUdpSocket(isV6);
  try {
    if (from !== undefined) leaveFrom(system, fd, from);
    // Port 0 cannot be sent to, and any other has the same route.
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
