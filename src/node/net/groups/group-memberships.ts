/** Multicast groups that a socket has joined. */
import type dgram from 'node:dgram';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import type { Address } from '../../../base/address.js';
import { formatAddress, isIPv6, isWildcardHost } from '../../../base/address.js';
import { openSharedSocket } from '../offload/offload-open.js';
import type { SystemCalls } from '../offload/offload-system.js';

export interface GroupMembershipsOptions {
  /** The bound socket. */
  readonly socket: dgram.Socket;
  readonly system: SystemCalls | undefined;
  readonly receivesBatches: boolean;
  /** Handles datagrams of groups that arrive at other sockets than `socket`. */
  readonly handleMessage: (bytes: Uint8Array, info: dgram.RemoteInfo) => void;
  /** Handles errors of those sockets. */
  readonly handleError: (error: NodeJS.ErrnoException) => void;
}

/**
 * The groups of one socket. A socket that is bound to all addresses joins groups at its port itself, on all
 * interfaces. A group at another port has its own socket. So has each group of a socket that is bound to one address:
 * except on Windows, the system passes a datagram only to sockets whose address is the destination, and here the
 * destination is the group.
 */
export class GroupMemberships {
  /** The address that the socket is bound to; undefined for all addresses. */
  private readonly boundHost: string | undefined;
  private readonly sockets = new Map<string, dgram.Socket>();

  constructor(private readonly options: GroupMembershipsOptions) {
    const { address } = options.socket.address();
    this.boundHost = isWildcardHost(address) || isWindows ? undefined : address;
  }

  /** @returns the reason why no interface could join; undefined if at least one interface joined */
  join(group: Address): string | undefined {
    const { boundHost } = this;
    const { host, port } = group;
    const names = boundHost === undefined ? multicastInterfaces(host) : [interfaceOf(boundHost)];
    const { handleMessage, handleError, ...how } = this.options;
    if (boundHost === undefined && port === how.socket.address().port) {
      return joinAny(how.socket, host, names);
    }
    if (this.sockets.has(formatAddress(group))) return undefined;
    let socket: dgram.Socket;
    try {
      socket = openSharedSocket({ host: hostToBind(host, names), port }, how);
    } catch (error) {
      return `no socket can be opened for the group (${(error as Error).message})`;
    }
    const failure = joinAny(socket, host, names);
    if (failure !== undefined) {
      socket.close();
      return failure;
    }
    socket.on('error', handleError);
    socket.on('message', handleMessage);
    this.sockets.set(formatAddress(group), socket);
    return undefined;
  }

  leave(group: Address): void {
    const key = formatAddress(group);
    const own = this.sockets.get(key);
    this.sockets.delete(key);
    own?.close();
    if (own !== undefined || this.boundHost !== undefined) return;
    for (const name of multicastInterfaces(group.host)) {
      try {
        this.options.socket.dropMembership(group.host, name);
      } catch {
        // This interface had not joined.
      }
    }
  }

  close(): void {
    for (const socket of this.sockets.values()) socket.close();
    this.sockets.clear();
  }
}

/** Joins on each of these interfaces. @returns as `join` does */
function joinAny(
  socket: dgram.Socket,
  group: string,
  interfaces: readonly string[],
): string | undefined {
  let hasJoined = false;
  let failure: NodeJS.ErrnoException | undefined;
  for (const name of interfaces) {
    const error = joinGroup(socket, group, name);
    if (error === undefined) hasJoined = true;
    failure ??= error;
  }
  return hasJoined ? undefined : joinFailure(group, failure);
}

/** Joins a group. Joining twice has no effect. @returns the error of the system; undefined if joined */
export function joinGroup(
  socket: dgram.Socket,
  group: string,
  membership: string,
): NodeJS.ErrnoException | undefined {
  try {
    socket.addMembership(group, membership);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EADDRINUSE' ? undefined : (error as NodeJS.ErrnoException);
  }
}

/** @returns the interfaces that have an address of the group's IP version, as `addMembership` takes them */
export function multicastInterfaces(
  group: string,
  isWanted: (info: NetworkInterfaceInfo) => boolean = () => true,
): string[] {
  const family = isIPv6(group) ? 'IPv6' : 'IPv4';
  const found: string[] = [];
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    const info = infos.find((each) => each.family === family && isWanted(each));
    if (info !== undefined) found.push(family === 'IPv6' ? `::%${name}` : info.address);
  }
  return found;
}

/** @returns the interface of a local address, as `addMembership` takes it */
function interfaceOf(host: string): string {
  const [address, scope] = host.split('%');
  if (scope !== undefined) return `::%${scope}`;
  // The system finds the interface of an IPv4 address, also of addresses that it does not list: 127.0.0.2.
  return multicastInterfaces(host, (info) => info.address === address)[0] ?? host;
}

/**
 * @returns the address of a socket for a group. An IPv6 group has the interface added if there is only one, because a
 *   group of link-local scope needs it.
 */
function hostToBind(group: string, names: readonly string[]): string {
  if (isWindows) return isIPv6(group) ? '::' : '0.0.0.0';
  const [name = ''] = names;
  const [, scope] = name.split('%');
  return scope === undefined || names.length > 1 ? group : `${group}%${scope}`;
}

const isWindows = process.platform === 'win32';

/** @returns the reason why no interface could join the group */
function joinFailure(group: string, error: NodeJS.ErrnoException | undefined): string {
  if (error === undefined) {
    return `this host has no ${isIPv6(group) ? 'IPv6' : 'IPv4'} interface`;
  }
  if (error.code === 'ENOBUFS' || error.code === 'ENOMEM') {
    const limit = isIPv6(group) ? 'net.core.optmem_max' : 'net.ipv4.igmp_max_memberships';
    return `this host has joined as many groups as the system allows (${limit})`;
  }
  return `no interface accepts the group (${error.message})`;
}
