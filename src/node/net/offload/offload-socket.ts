/**
 * UDP sockets with GSO and GRO of Linux: one call sends up to 64 datagrams, and datagrams that arrived
 * together are received together.
 *
 * dgram does not know these options, but accepts an existing socket that has them; dgram owns it from then on.
 */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '../../../base/address.js';
import type { Descriptor, SystemCalls } from './offload-system.js';
import { socketOptions } from './offload-system.js';

/** Which offload is in use. */
export interface Offload {
  /** Several datagrams are sent in one call. */
  readonly send: boolean;
  /** Several datagrams may be received at once. */
  readonly receive: boolean;
  /** Why requested offload is not in use. */
  readonly reason?: string;
}

/** For sockets that are not open. */
export const noOffload: Offload = { send: false, receive: false };

export interface OffloadSocket {
  readonly socket: dgram.Socket;
  readonly offload: Offload;
  /** Sets the size of datagrams that the kernel cuts batches into; 0 turns that off. */
  readonly setSegmentSize: (sizeBytes: number) => void;
  /** Sets whether another socket may bind the same port. The other socket must set this too. */
  readonly setPortSharing: (isOn: boolean) => void;
}

export interface OffloadSocketOptions {
  readonly system: SystemCalls;
  readonly address: Address;
  readonly receivesBatches: boolean;
  readonly receiveBufferSizeBytes: number;
  readonly dgramOptions: dgram.SocketOptions;
}

/**
 * Opens a socket and passes it to dgram, synchronously; it is listening on return.
 * @throws NodeJS.ErrnoException as emitted by `bind` of dgram; nothing stays open then
 */
export function openOffloadSocket(options: OffloadSocketOptions): OffloadSocket {
  const { system, address, dgramOptions } = options;
  const fd = system.openUdpSocket(isIPv6(address.host));
  const socket = dgram.createSocket(dgramOptions);
  try {
    const offload = prepare(fd, options);
    system.bind(fd, address);
    socket.bind({ fd, exclusive: true });
    // libuv sets this option. It is cleared because no other process must share the port.
    refusal(() => system.setOption(fd, socketOptions.reuseAddress, 0));
    const setSegmentSize = (sizeBytes: number) =>
      system.setOption(fd, socketOptions.udpSegment, sizeBytes);
    const setPortSharing = (isOn: boolean) =>
      system.setOption(fd, socketOptions.reuseAddress, isOn ? 1 : 0);
    return { socket, offload, setSegmentSize, setPortSharing };
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
  // Only root may do this; other users get what dgram sets.
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
 * Disables fragmentation, because the loss of one fragment loses the whole datagram. IP_PMTUDISC_DO reports EMSGSIZE as
 * soon as the interface or an ICMP message of a router shows that the path is too narrow. With IP_PMTUDISC_PROBE, only
 * the interface would count, and datagrams that a router drops would be lost again and again, unnoticed.
 * A socket that dgram has created does not allow this option, so the system fragments its large datagrams.
 */
function refuseFragments(fd: Descriptor, { system, address }: OffloadSocketOptions): void {
  const { ipv4MtuDiscover, ipv6MtuDiscover } = socketOptions;
  const option = isIPv6(address.host) ? ipv6MtuDiscover : ipv4MtuDiscover;
  refusal(() => system.setOption(fd, option, pathMtuDiscoveryDo));
}

const pathMtuDiscoveryDo = 2;

/** @returns the code of the error that the call throws, if any */
function refusal(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
