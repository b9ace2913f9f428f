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

export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}
