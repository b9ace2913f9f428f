/** Source or destination of a datagram. The core never resolves host names; it only compares. */
export interface Address {
  /** An IP address in its usual text form, or a host name in the simulator. */
  readonly host: string;
  readonly port: number;
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
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Whether both have the same host and port. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/**
 * Returns the part of an address that identifies a single party. For IPv4 that is the whole address, and for IPv6
 * the first 64 bits. Other text is returned unchanged.
 */
export function networkOf(host: string): string {
  if (!host.includes(':')) return host;
  const [left = [], right = []] = host
    .split('::')
    .map((text) => (text === '' ? [] : text.split(':')));
  // `::` stands for the missing groups out of eight.
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
