/** Multicast groups that a socket has joined. */
import type dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import { isWildcardHost } from '../../base/address.js';
import { openSharedSocket } from './offload/offload-open.js';
import type { SystemCalls } from './offload/offload-system.js';

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
 * The groups of one socket. A socket that is bound to all addresses joins groups itself, on all interfaces.
 * For a socket that is bound to one address, each group has its own socket: except on Windows, the system
 * passes a datagram only to sockets whose address is the destination, and here the destination is the group.
 */
export class GroupMemberships {
  /** The address that the socket is bound to; undefined if the socket joins groups itself. */
  private readonly boundHost: string | undefined;
  private readonly sockets = new Map<string, dgram.Socket>();

  constructor(private readonly options: GroupMembershipsOptions) {
    const { address } = options.socket.address();
    this.boundHost = isWildcardHost(address) || process.platform === 'win32' ? undefined : address;
  }

  /** @returns the reason why no interface could join; undefined if at least one interface joined */
  join(group: string): string | undefined {
    const { boundHost } = this;
    if (boundHost === undefined) {
      return joinAny(this.options.socket, group, multicastInterfaces(group));
    }
    if (this.sockets.has(group)) return undefined;
    const { handleMessage, handleError, ...how } = this.options;
    const name = interfaceOf(boundHost);
    let socket: dgram.Socket;
    try {
      const host = isIPv6(boundHost) ? scoped(group, name) : group;
      socket = openSharedSocket({ host, port: how.socket.address().port }, how);
    } catch (error) {
      return `no socket can be opened for the group (${(error as Error).message})`;
    }
    const failure = joinAny(socket, group, [name]);
    if (failure !== undefined) {
      socket.close();
      return failure;
    }
    socket.on('error', handleError);
    socket.on('message', handleMessage);
    this.sockets.set(group, socket);
    return undefined;
  }

  leave(group: string): void {
    if (this.boundHost !== undefined) {
      this.sockets.get(group)?.close();
      this.sockets.delete(group);
      return;
    }
    for (const name of multicastInterfaces(group)) {
      try {
        this.options.socket.dropMembership(group, name);
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

/** Adds the interface to an IPv6 group, because a group of link-local scope needs it. */
function scoped(group: string, interfaceName: string): string {
  const [, scope] = interfaceName.split('%');
  return scope === undefined ? group : `${group}%${scope}`;
}

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
