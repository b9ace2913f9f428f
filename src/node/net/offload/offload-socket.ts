/**
 * UDP sockets with GSO and GRO of Linux. One call sends up to 64 datagrams, and one call receives all
 * datagrams that arrived together.
 * dgram does not support these options, but it accepts an open socket on which they are set. dgram then owns
 * the socket.
 */
import dgram from 'node:dgram';
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';
import type { Descriptor, SystemCalls } from './offload-system.js';
import { socketOptions } from './offload-system.js';

/** Which offload is in use. */
export interface Offload {
  /** Several datagrams are sent in one call. */
  readonly send: boolean;
  /** Several datagrams can be received in one call. */
  readonly receive: boolean;
  /** Why requested offload is not in use. */
  readonly reason?: string;
  /** Addresses of paths from which datagrams leave by whichever interface the routing chooses; missing if there are none. */
  readonly routedHosts?: readonly string[];
}

/** For sockets that are not open. */
export const noOffload: Offload = { send: false, receive: false };

export interface OffloadSocket {
  readonly socket: dgram.Socket;
  readonly offload: Offload;
  /** Whether datagrams leave by another interface than `leaveBy`, if the routing says so. */
  readonly isRouted: boolean;
  /** Sets the size of the datagrams into which the kernel cuts batches; 0 turns GSO off. */
  readonly setSegmentSize: (sizeBytes: number) => void;
  /**
   * Sets whether another socket is allowed to bind the same port. The other socket must set this option too.
   */
  readonly setPortSharing: (isOn: boolean) => void;
}

export interface OffloadSocketOptions {
  readonly system: SystemCalls;
  readonly address: Address;
  readonly receivesBatches: boolean;
  readonly receiveBufferSizeBytes: number;
  readonly dgramOptions: dgram.SocketOptions;
  /** Whether the address is a multicast group, which other sockets can share; false by default. */
  readonly isGroup?: boolean;
  /** The interface by which datagrams leave; by default, the routing chooses it. */
  readonly leaveBy?: string | undefined;
}

/**
 * Opens a socket and passes it to dgram. The socket is listening when this function returns.
 * @throws NodeJS.ErrnoException as emitted by `bind` of dgram. No socket stays open in this case.
 */
export function openOffloadSocket(options: OffloadSocketOptions): OffloadSocket {
  const { system, address, dgramOptions, isGroup = false } = options;
  const fd = system.openUdpSocket(isIPv6(address.host));
  const socket = dgram.createSocket(dgramOptions);
  try {
    const offload = prepare(fd, options);
    const isRouted = !leaveByInterface(fd, options);
    if (isGroup) prepareForGroup(fd, options);
    system.bind(fd, address);
    socket.bind({ fd, exclusive: true });
    // libuv has set SO_REUSEADDR. Clear it, so that no other process can share the port.
    if (!isGroup) refusal(() => system.setOption(fd, socketOptions.reuseAddress, 0));
    const setSegmentSize = (sizeBytes: number) =>
      system.setOption(fd, socketOptions.udpSegment, sizeBytes);
    const setPortSharing = (isOn: boolean) =>
      system.setOption(fd, socketOptions.reuseAddress, isOn ? 1 : 0);
    return { socket, offload, isRouted, setSegmentSize, setPortSharing };
  } catch (error) {
    socket.close();
    system.close(fd);
    throw error;
  }
}

/** Sets the options that must be set before a datagram can arrive. */
function prepare(fd: Descriptor, options: OffloadSocketOptions): Offload {
  const { system, address, receivesBatches, receiveBufferSizeBytes } = options;
  const { ipv6Only, receiveBufferForce, udpGro, udpSegment } = socketOptions;
  if (isIPv6(address.host)) system.setOption(fd, ipv6Only, 1);
  refuseFragments(fd, options);
  // Only root can exceed the limit; for other users, dgram requests a buffer within the limit.
  refusal(() => system.setOption(fd, receiveBufferForce, receiveBufferSizeBytes));
  const noSend = refusal(() => system.setOption(fd, udpSegment, 0));
  const noReceive = receivesBatches ? refusal(() => system.setOption(fd, udpGro, 1)) : undefined;
  const offload = {
    send: noSend === undefined,
    receive: receivesBatches && noReceive === undefined,
  };
  if (noSend !== undefined)
    return { ...offload, reason: `the kernel refuses UDP_SEGMENT: ${noSend}` };
  if (noReceive !== undefined)
    return { ...offload, reason: `the kernel refuses UDP_GRO: ${noReceive}` };
  return offload;
}

/**
 * Makes unicast datagrams leave by an interface, even if the routing would choose another one. Unlike with
 * SO_BINDTODEVICE, datagrams may arrive by any interface.
 * @returns whether the system does that; true if no interface is wanted
 */
function leaveByInterface(
  fd: Descriptor,
  { system, address, leaveBy }: OffloadSocketOptions,
): boolean {
  if (leaveBy === undefined) return true;
  const index = system.interfaceIndex(leaveBy);
  if (index === 0) return false;
  const { ipv4UnicastInterface, ipv6UnicastInterface } = socketOptions;
  const option = isIPv6(address.host) ? ipv6UnicastInterface : ipv4UnicastInterface;
  const value = Buffer.alloc(4);
  // Unlike other options, it is in network byte order.
  value.writeInt32BE(index);
  return refusal(() => system.setOption(fd, option, value.readInt32LE())) === undefined;
}

/** Lets other sockets have the same group, and ignores what arrives on interfaces that have not joined it. */
function prepareForGroup(fd: Descriptor, { system, address }: OffloadSocketOptions): void {
  const { reuseAddress, ipv4MulticastAll, ipv6MulticastAll } = socketOptions;
  system.setOption(fd, reuseAddress, 1);
  const all = isIPv6(address.host) ? ipv6MulticastAll : ipv4MulticastAll;
  refusal(() => system.setOption(fd, all, 0));
}

/**
 * Disables fragmentation, because a datagram is lost if one of its fragments is lost. With IP_PMTUDISC_DO,
 * the system reports EMSGSIZE when the MTU of the interface, or an ICMP message from a router, shows that the
 * path is too narrow. With IP_PMTUDISC_PROBE, the system would ignore the ICMP messages: a router would drop
 * every large datagram, and the sender would not notice. These modes cannot be set on sockets that dgram has
 * created, so the system fragments large datagrams there.
 */
function refuseFragments(fd: Descriptor, { system, address }: OffloadSocketOptions): void {
  const { ipv4MtuDiscover, ipv6MtuDiscover } = socketOptions;
  const option = isIPv6(address.host) ? ipv6MtuDiscover : ipv4MtuDiscover;
  refusal(() => system.setOption(fd, option, pathMtuDiscoveryDo));
}

const pathMtuDiscoveryDo = 2;

/** @returns the code of the error that the call throws; undefined if the call succeeds */
function refusal(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
