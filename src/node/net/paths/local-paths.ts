/** Chooses the addresses of this host from which paths begin (SESSIONS 3.17). */
import { isIP } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import type { Address } from '../../../base/address.js';
import { isIPv6, isLoopbackHost } from '../../../base/address.js';
import { P2mpError } from '../../../base/errors.js';
import { maxPaths } from '../../../wire/paths.js';
import { isLinkLocal } from '../discovery/links.js';
import { hasRoute } from './interface-routes.js';

/**
 * Names of interfaces, or addresses of this host, at most four; `auto` for the interfaces that lead to the other hosts,
 * at most four. An interface stands for one of its addresses.
 */
export type NetworkPaths = 'auto' | readonly string[];

/** An address of this host from which a path begins. */
export interface LocalPath {
  readonly host: string;
  /** Undefined for loopback, where there is nothing to choose. */
  readonly interfaceName?: string;
}

export function hostsOf(paths: readonly LocalPath[]): string[] {
  return paths.map(({ host }) => host);
}

interface OwnAddress {
  readonly interfaceName: string;
  readonly host: string;
  readonly isLoopback: boolean;
}

export interface LocalPathsOptions {
  /** The other hosts, as far as they are known. */
  readonly peers?: readonly Address[];
  readonly interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
  /** Whether an interface leads to an address. */
  readonly leadsTo?: (interfaceName: string, host: string) => boolean;
}

/**
 * @returns none without a choice, and if `auto` finds fewer than two
 * @throws P2mpError INVALID_ARGUMENT
 */
export function chooseLocalPaths(
  choice: NetworkPaths | undefined,
  { peers = [], interfaces = networkInterfaces, leadsTo = hasRoute }: LocalPathsOptions = {},
): readonly LocalPath[] {
  if (choice === undefined) return [];
  const own = listOwn(interfaces());
  if (choice === 'auto') return findPaths(own, peers, leadsTo).map(toPath);
  if (choice.length > maxPaths)
    throw invalid(`${choice.length} given; name at most ${maxPaths} interfaces or addresses`);
  if (choice.includes(''))
    throw invalid(`'${choice.join()}': a name is empty; give auto, or interfaces; ${listed(own)}`);
  const found: OwnAddress[] = [];
  for (const name of choice) {
    const address = find(own, name, peers);
    const twin = found.findIndex(({ host }) => host === address.host);
    if (twin >= 0)
      throw invalid(`${choice[twin]} and ${name} are both ${address.host}; name it once`);
    found.push(address);
  }
  if (new Set(found.map(({ isLoopback }) => isLoopback)).size > 1) {
    throw invalid(
      `${choice.join(' and ')}: loopback reaches only this host; name either loopback or other interfaces`,
    );
  }
  checkReach(found, own, peers);
  return found.map(toPath);
}

/** Datagrams from loopback never leave this host. */
function checkReach(
  found: readonly OwnAddress[],
  own: readonly OwnAddress[],
  peers: readonly Address[],
): void {
  const [loopback] = found.filter(({ isLoopback }) => isLoopback);
  const isOwn = (host: string) => isLoopbackHost(host) || own.some((each) => each.host === host);
  const remote = peers.find(({ host }) => !isOwn(host));
  if (loopback === undefined || remote === undefined) return;
  throw invalid(
    `${loopback.host}: loopback does not reach ${remote.host}; name other interfaces; ${listed(own)}`,
  );
}

function toPath({ host, interfaceName, isLoopback }: OwnAddress): LocalPath {
  return isLoopback ? { host } : { host, interfaceName };
}

/** The addresses that can be used, in the order of the system. */
function listOwn(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): OwnAddress[] {
  return Object.entries(interfaces).flatMap(([interfaceName, infos = []]) =>
    infos
      .filter(({ address }) => !isLinkLocal(address))
      .map(({ address: host, internal: isLoopback }) => ({ interfaceName, host, isLoopback })),
  );
}

/** The address that a user means. */
function find(own: readonly OwnAddress[], name: string, peers: readonly Address[]): OwnAddress {
  if (isIP(name) !== 0) {
    const address = own.find(({ host }) => host === name);
    if (address !== undefined) return address;
    // The system lists only one of the many IPv4 addresses of loopback.
    if (isLoopbackHost(name)) return { interfaceName: '', host: name, isLoopback: true };
    throw invalid(`${name}: this host has no such address; ${listed(own)}`);
  }
  const candidates = own.filter(({ interfaceName }) => interfaceName === name);
  if (candidates.length === 0) {
    const what = name === 'auto' ? 'cannot be given with others' : 'no such interface is up here';
    throw invalid(`${name}: ${what}; ${listed(own)}`);
  }
  const families = familiesOf(peers);
  const address = best(candidates, families);
  if (address !== undefined) return address;
  const version = families.includes(true) ? 6 : 4;
  throw invalid(
    `${name}: has no IPv${version} address, and the other side has no other one; ${listed(own)}`,
  );
}

/** Whether each IP version of the peers is 6; both if no peer is known. */
function familiesOf(peers: readonly Address[]): boolean[] {
  const families = new Set(peers.map(({ host }) => isIPv6(host)));
  return [false, true].filter((each) => peers.length === 0 || families.has(each));
}

function best(candidates: readonly OwnAddress[], families: readonly boolean[]) {
  for (const isVersion6 of families) {
    const address = candidates.find(({ host }) => isIPv6(host) === isVersion6);
    if (address !== undefined) return address;
  }
  return undefined;
}

function listed(own: readonly OwnAddress[]): string {
  const all = own.map(({ host, interfaceName }) => `${interfaceName} (${host})`);
  return `this host has ${all.join(', ') || 'no addresses'}`;
}

/** One address of each interface that leads to a peer, or that leads out if no peer is known. */
function findPaths(
  own: readonly OwnAddress[],
  peers: readonly Address[],
  leadsTo: (interfaceName: string, host: string) => boolean,
): OwnAddress[] {
  const isLocal = peers.length > 0 && peers.every(({ host }) => isLoopbackHost(host));
  const names = [...new Set(own.map(({ interfaceName }) => interfaceName))];
  const leading = names.flatMap((name) => {
    const candidates = own.filter(
      (each) => each.interfaceName === name && each.isLoopback === isLocal,
    );
    const reached = peers.filter(({ host }) => leadsTo(name, host));
    if (peers.length > 0 && reached.length === 0) return [];
    return best(candidates, familiesOf(reached)) ?? [];
  });
  if (leading.length < 2) return [];
  // Without peers, interfaces that lead further than to their own network come first.
  const isFar = ({ interfaceName, host }: OwnAddress) =>
    Number(peers.length === 0 && leadsTo(interfaceName, isIPv6(host) ? '2001:db8::' : '192.0.2.1'));
  return leading.toSorted((a, b) => isFar(b) - isFar(a)).slice(0, maxPaths);
}

function invalid(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', `path ${message}`);
}
