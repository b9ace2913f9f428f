/** The source or destination of a datagram. The core compares addresses and never resolves host names. */
export interface Address {
  /** An IP address in its usual text form; in the simulator, a host name. */
  readonly host: string;
  readonly port: number;
}

/** The source of a datagram that has arrived. */
export interface Arrival extends Address {
  /** The address of this host at which it arrived; undefined if there is only one, or the shell does not know. */
  readonly localHost?: string;
}

/**
 * Formats `host:port`, with brackets around an IPv6 address.
 * @example
 * ```ts
 * import { formatAddress } from 'p2mp/core';
 *
 * console.log(formatAddress({ host: '::1', port: 7735 })); // [::1]:7735
 * ```
 */
export function formatAddress(address: Address): string {
  return isIPv6(address.host)
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Whether two addresses have the same host and port. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/**
 * Returns the network of a host, for limits that apply per network: the whole address for IPv4, the first 64
 * bits for IPv6. Other text is returned unchanged.
 */
export function networkOf(host: string): string {
  if (!isIPv6(host)) return host;
  const [left = [], right = []] = host
    .split('::')
    .map((text) => (text === '' ? [] : text.split(':')));
  // An IPv6 address has eight groups; `::` stands for the missing ones.
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}

/** Whether an IP address is one of version 6. `node:net` also checks that, by a pattern that takes 5 ms to compile. */
export function isIPv6(host: string): boolean {
  return host.includes(':');
}

/** Whether the host is the address with which a socket listens on all addresses of its IP version. */
export function isWildcardHost(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

export function isLoopbackHost(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}
