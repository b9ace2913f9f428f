/** Opens UDP sockets: with offload where it is available, otherwise as plain dgram sockets. */
import dgram from 'node:dgram';
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';
import { wantedReceiveBufferBytes, widenReceiveBuffer } from '../receive-buffer.js';
import type { SendingSocket } from './offload-sender.js';
import { openOffloadSocket } from './offload-socket.js';
import type { SystemCalls } from './offload-system.js';

export interface OpenSocketOptions {
  readonly system: SystemCalls | undefined;
  /** Why `system` is undefined. */
  readonly noOffload: string | undefined;
  readonly receivesBatches: boolean;
  /** The interface by which datagrams leave; by default, the routing chooses it. */
  readonly leaveBy?: string | undefined;
}

/** @throws NodeJS.ErrnoException if the address cannot be bound */
export async function openSocket(
  address: Address,
  { system, noOffload, receivesBatches, leaveBy }: OpenSocketOptions,
): Promise<SendingSocket> {
  const dgramOptions = dgramOptionsFor(address);
  let reason = noOffload ?? '';
  if (system !== undefined) {
    const receiveBufferSizeBytes = wantedReceiveBufferBytes;
    const how = {
      ...{ system, address, dgramOptions, receivesBatches, receiveBufferSizeBytes, leaveBy },
    };
    try {
      const opened = openOffloadSocket(how);
      widenReceiveBuffer(opened.socket);
      return opened;
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (syscall === 'bind' || syscall === 'socket') throw error;
      reason = `Node rejects such a socket: ${code}`;
    }
  }
  const socket = await openPlainSocket(address, dgramOptions);
  widenReceiveBuffer(socket);
  const offload = { send: false, receive: false, reason };
  return { socket, offload, isRouted: leaveBy !== undefined };
}

/**
 * Opens a socket for datagrams to a multicast group. Sockets of other programs can have the same address; each
 * socket gets a copy of each datagram.
 * @throws NodeJS.ErrnoException if the address cannot be bound
 */
export function openSharedSocket(
  address: Address,
  { system, receivesBatches }: Pick<OpenSocketOptions, 'system' | 'receivesBatches'>,
): dgram.Socket {
  const dgramOptions = { ...dgramOptionsFor(address), reuseAddr: true };
  if (system !== undefined) {
    const receiveBufferSizeBytes = wantedReceiveBufferBytes;
    const how = { system, address, dgramOptions, receivesBatches, receiveBufferSizeBytes };
    try {
      const { socket } = openOffloadSocket({ ...how, isGroup: true });
      widenReceiveBuffer(socket);
      return socket;
    } catch (error) {
      const { syscall } = error as NodeJS.ErrnoException;
      if (syscall === 'bind' || syscall === 'socket') throw error;
    }
  }
  const socket = dgram.createSocket(dgramOptions);
  let failure: Error | undefined;
  const take = (error: Error) => {
    failure = error;
  };
  // Binding is synchronous, because `lookup` is.
  socket.on('error', take).bind({ address: address.host, port: address.port, exclusive: true });
  socket.off('error', take);
  if (failure !== undefined) {
    socket.close();
    throw failure;
  }
  widenReceiveBuffer(socket);
  return socket;
}

function dgramOptionsFor(address: Address): dgram.SocketOptions {
  return {
    ...(isIPv6(address.host) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' }),
    // The addresses are already resolved. The default lookup would delay each send to a later tick.
    lookup: passThrough as unknown as NonNullable<dgram.SocketOptions['lookup']>,
  };
}

function openPlainSocket(address: Address, options: dgram.SocketOptions): Promise<dgram.Socket> {
  const socket = dgram.createSocket(options);
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: address.host, port: address.port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

function passThrough(host: string, ...rest: unknown[]): void {
  const callback = rest.at(-1) as (error: null, host: string) => void;
  callback(null, host);
}
