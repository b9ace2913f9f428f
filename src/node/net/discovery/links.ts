/** The interfaces through which discovery works, and the networks that they belong to. */
import { BlockList } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';
import { P2mpError } from '../../../base/errors.js';
import { reusedLookup } from '../reused-lookup.js';

/** One address of an interface for IPv4; one interface for IPv6. */
export interface Link {
  /** Name of the interface. */
  readonly name: string;
  readonly family: 'IPv4' | 'IPv6';
  /** The local address to send from; with the interface for a link-local one. */
  readonly address: string;
  /** Names the interface in calls that set multicast options. */
  readonly membership: string;
  readonly isLoopback: boolean;
}

/**
 * Lists the links of this host. IPv6 links need a link-local address; therefore loopback has only an IPv4 link.
 * @param isWanted selects by name and address
 */
export function findLinks(
  isWanted: (name: string, info: NetworkInterfaceInfo) => boolean = () => true,
): Link[] {
  return Object.entries(networkInterfaces()).flatMap(([name, infos = []]) => {
    const wanted = infos.filter((info) => isWanted(name, info));
    const links4 = wanted
      .filter(({ family }) => family === 'IPv4')
      .map(({ address, internal }) => ({
        ...{ name, family: 'IPv4' as const, address, membership: address },
        isLoopback: internal,
      }));
    const own6 = infos.find(({ family, address }) => family === 'IPv6' && isLinkLocal(address));
    if (own6 === undefined || !wanted.some(({ family }) => family === 'IPv6')) return links4;
    const scope = process.platform === 'win32' ? String(own6.scopeid) : name;
    const link6 = {
      ...{ name, family: 'IPv6' as const, address: `${own6.address}%${scope}` },
      ...{ membership: `::%${scope}`, isLoopback: own6.internal },
    };
    return [...links4, link6];
  });
}

/**
 * Finds the links of the interfaces that a user has named.
 * @param interfaces names or addresses of interfaces; all if undefined
 * @throws P2mpError INVALID_ARGUMENT if there is no such interface
 */
export function findNamedLinks(interfaces: readonly string[] | undefined): Link[] {
  if (interfaces === undefined) return findLinks();
  const all = Object.entries(networkInterfaces());
  const isNamed = (text: string, name: string, address: string) =>
    text === name || text.split('%')[0] === address;
  for (const text of interfaces) {
    const exists = all.some(([name, infos = []]) =>
      infos.some(({ address }) => isNamed(text, name, address)),
    );
    if (exists) continue;
    const names = all.map(([name]) => name).join(', ');
    const message = `interface ${text}: this host has no interface with this name or address that is up; it has ${names}`;
    throw new P2mpError('INVALID_ARGUMENT', message);
  }
  return findLinks((name, { address }) => interfaces.some((text) => isNamed(text, name, address)));
}

/**
 * Checks whether addresses belong to networks that this host is part of, including those of this host itself.
 * @param isOwn selects the addresses of this host whose networks count
 */
export function createNearCheck(
  isOwn: (info: NetworkInterfaceInfo) => boolean = () => true,
): (from: Address) => boolean {
  const networks = reusedLookup(() => listNetworks(isOwn));
  return ({ host }) => {
    const [plain = ''] = host.split('%');
    return networks().check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  };
}

function listNetworks(isOwn: (info: NetworkInterfaceInfo) => boolean): BlockList {
  const networks = new BlockList();
  const own = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
  for (const info of own.filter(isOwn)) {
    const type = info.family === 'IPv6' ? 'ipv6' : 'ipv4';
    const [network, prefix] = info.cidr?.split('/') ?? [];
    if (network !== undefined) networks.addSubnet(network, Number(prefix), type);
    // Every host on a link has an address of fe80::/10, and routers do not forward datagrams from there.
    if (type === 'ipv6' && !info.internal) networks.addSubnet('fe80::', 10, 'ipv6');
  }
  return networks;
}

export function isLinkLocal(host: string): boolean {
  return /^fe[89ab]/i.test(host);
}
