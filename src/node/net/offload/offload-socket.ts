/**
 * UDP sockets for which the system cuts and joins batches of datagrams (UDP GSO and GRO of Linux):
 * one call sends up to 64 datagrams, and what came together is handed over together.
 *
 * dgram knows no such options, but takes a socket that has them; from then on it is dgram's.
 */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '../../../base/address.js';
import type { Descriptor, SystemCalls } from './offload-system.js';
import { socketOptions } from './offload-system.js';

/** What the system does for batches of datagrams. */
export interface Offload {
  /** Several datagrams leave in one call. */
  readonly send: boolean;
  /** Several datagrams may come at once. */
  readonly receive: boolean;
  /** Why it does not do what was asked for. */
  readonly reason?: string;
}

/** Of sockets that are not open. */
export const noOffload: Offload = { send: false, receive: false };

export interface OffloadSocket {
  readonly socket: dgram.Socket;
  readonly offload: Offload;
  /** The system cuts what is sent from now on into datagrams of this size; 0: it does not. */
  readonly setSegmentSize: (sizeBytes: number) => void;
  /** Whether another socket may take the same port, if it allows that as well. */
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
 * Opens a socket and hands it to dgram, all at once: the result listens.
 * @throws NodeJS.ErrnoException as `bind` of dgram emits it; nothing stays open then
 */
export function openOffloadSocket(options: OffloadSocketOptions): OffloadSocket {
  const { system, address, dgramOptions } = options;
  const fd = system.openUdpSocket(isIPv6(address.host));
  const socket = dgram.createSocket(dgramOptions);
  try {
    const offload = prepare(fd, options);
    system.bind(fd, address);
    socket.bind({ fd, exclusive: true });
    // libuv sets it; but nobody shall come to share the port.
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

/** Sets what has to be set before a datagram can come. */
function prepare(fd: Descriptor, options: OffloadSocketOptions): Offload {
  const { system, address, receivesBatches, receiveBufferSizeBytes } = options;
  const { ipv6Only, receiveBufferForce, udpGro, udpSegment } = socketOptions;
  if (isIPv6(address.host)) system.setOption(fd, ipv6Only, 1);
  refuseFragments(fd, options);
  // Only root may; all others are granted what they get from dgram.
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
 * No datagram leaves in fragments, for with any of them the whole is lost. Of the two ways to have that,
 * IP_PMTUDISC_DO tells the sender (EMSGSIZE) as soon as the path is known to be too narrow, be it by the
 * own interface or by what a router on the way said; with IP_PMTUDISC_PROBE, only the own interface
 * would count, and what a router dropped would be dropped again and again, unnoticed.
 * A socket that dgram has made cannot be told: on it, the system makes fragments of what is too large.
 */
function refuseFragments(fd: Descriptor, { system, address }: OffloadSocketOptions): void {
  const { ipv4MtuDiscover, ipv6MtuDiscover } = socketOptions;
  const option = isIPv6(address.host) ? ipv6MtuDiscover : ipv4MtuDiscover;
  refusal(() => system.setOption(fd, option, pathMtuDiscoveryDo));
}

const pathMtuDiscoveryDo = 2;

/** @returns the code of the error that the call ends with, if it does */
function refusal(call: () => void): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
