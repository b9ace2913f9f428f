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

export function hostsOf(paths: readonly Pick<LocalPath, 'host'>[]): string[] {
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
  if (choice === 'auto') {
    const leading = leadingAddresses(own, peers, leadsTo);
    return leading.length < 2 ? [] : leading.map(toPath);
  }
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

/**
 * Finds out where paths can begin once addresses of this host have come or gone.
 * @param paths those of the start
 * @returns a function that returns the addresses of the present; none as long as `auto` has never found two. Undefined
 *   without a choice
 */
export function pathFinder(
  choice: NetworkPaths | undefined,
  paths: readonly LocalPath[],
  { peers = [], interfaces = networkInterfaces, leadsTo = hasRoute }: LocalPathsOptions = {},
): (() => readonly LocalPath[]) | undefined {
  if (choice === undefined) return undefined;
  let hasBegun = paths.length > 0;
  return () => {
    const own = listOwn(interfaces());
    if (choice === 'auto') {
      const leading = leadingAddresses(own, peers, leadsTo);
      hasBegun ||= leading.length > 1;
      return hasBegun ? leading.map(toPath) : [];
    }
    const found = new Map<string, OwnAddress>();
    for (const name of choice) {
      const address = findAddress(own, name, peers);
      if (address !== undefined && !found.has(address.host)) found.set(address.host, address);
    }
    return [...found.values()].map(toPath);
  };
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

/** The address that a user means, if this host has it. */
function findAddress(
  own: readonly OwnAddress[],
  name: string,
  peers: readonly Address[],
): OwnAddress | undefined {
  if (isIP(name) === 0) {
    const candidates = own.filter(({ interfaceName }) => interfaceName === name);
    return best(candidates, familiesOf(peers));
  }
  // The system lists only one of the many IPv4 addresses of loopback.
  const loopback = { interfaceName: '', host: name, isLoopback: true };
  return own.find(({ host }) => host === name) ?? (isLoopbackHost(name) ? loopback : undefined);
}

/** @throws P2mpError INVALID_ARGUMENT if this host does not have the address that a user means */
function find(own: readonly OwnAddress[], name: string, peers: readonly Address[]): OwnAddress {
  const address = findAddress(own, name, peers);
  if (address !== undefined) return address;
  if (isIP(name) !== 0) throw invalid(`${name}: this host has no such address; ${listed(own)}`);
  if (!own.some(({ interfaceName }) => interfaceName === name)) {
    const what = name === 'auto' ? 'cannot be given with others' : 'no such interface is up here';
    throw invalid(`${name}: ${what}; ${listed(own)}`);
  }
  const version = familiesOf(peers).includes(true) ? 6 : 4;
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
function leadingAddresses(
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
  // Without peers, interfaces that lead further than to their own network come first.
  const isFar = ({ interfaceName, host }: OwnAddress) =>
    Number(peers.length === 0 && leadsTo(interfaceName, isIPv6(host) ? '2001:db8::' : '192.0.2.1'));
  return leading.toSorted((a, b) => isFar(b) - isFar(a)).slice(0, maxPaths);
}

function invalid(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', `path ${message}`);
}
