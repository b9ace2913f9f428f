/** The addresses at which other hosts may reach a receiver on this host. */
import dgram from 'node:dgram';
import { hostname, networkInterfaces } from 'node:os';
import { isIPv6, isWildcardHost } from '../../base/address.js';

/** Addresses that no host has (for documentation: RFC 5737, RFC 3849), so the default routes lead to them. */
const elsewhere = { udp4: '192.0.2.1', udp6: '2001:db8::1' } as const;

/**
 * Lists the addresses of this host that are worth giving to others, the most useful first: the one of the default
 * route, then other IPv4 addresses, then IPv6.
 * @param bound the addresses that a receiver listens on
 * @returns at least one
 */
export async function findReachableHosts(
  bound: readonly string[],
): Promise<readonly [string, ...string[]]> {
  const takesAll = (version: 4 | 6) => bound.includes(version === 4 ? '0.0.0.0' : '::');
  const named = bound.filter((host) => !isWildcardHost(host));
  const found = [
    ...(takesAll(4) ? hostsOf('IPv4', await findSource('udp4')) : []),
    ...(takesAll(6) ? hostsOf('IPv6', await findSource('udp6')) : []),
  ];
  const [first = hostname(), ...others] = new Set([...named, ...found]);
  return [first, ...others];
}

/** @param preferred comes first */
function hostsOf(family: 'IPv4' | 'IPv6', preferred: string | undefined): string[] {
  const hosts = Object.values(networkInterfaces())
    .flatMap((infos) => infos ?? [])
    .filter((info) => info.family === family && !info.internal && !isLinkLocal(info.address))
    .map(({ address }) => address);
  const isOwn = preferred !== undefined && hosts.includes(preferred);
  return isOwn ? [preferred, ...hosts.filter((host) => host !== preferred)] : hosts;
}

/** A link-local address means something only together with an interface of the other host. */
function isLinkLocal(address: string): boolean {
  return isIPv6(address) ? /^fe[89ab]/i.test(address) : address.startsWith('169.254.');
}

/** @returns the local address that the default route uses; undefined without a route. Sends nothing. */
async function findSource(type: 'udp4' | 'udp6'): Promise<string | undefined> {
  const socket = dgram.createSocket(type);
  try {
    return await new Promise((resolve) => {
      socket.once('error', () => resolve(undefined));
      // Connecting only looks up the route.
      socket.connect(9, elsewhere[type], (error?: Error) =>
        resolve(error == null ? socket.address().address : undefined),
      );
    });
  } finally {
    socket.close();
  }
}
