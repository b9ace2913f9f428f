/** Where a datagram comes from or goes to. The core never resolves a host: it only compares. */
export interface Address {
  /** An IP address in its usual text form, or a host's name in the simulator. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, with the brackets that an IPv6 address needs. */
export function formatAddress(address: Address): string {
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Whether both are the same host and port. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/**
 * The part of an address that one party can be taken to have: an IPv4 address, the first 64 bits of an
 * IPv6 address. Other text is returned as it is.
 */
export function networkOf(host: string): string {
  if (!host.includes(':')) return host;
  const [left = [], right = []] = host
    .split('::')
    .map((text) => (text === '' ? [] : text.split(':')));
  // Zeros that were left out stand for the rest of eight groups.
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
