/**
 * Detects that a remote port refuses datagrams. Its host answers with ICMP, which the system reports only to a
 * connected socket. No probe is sent, because even a harmless datagram could start a transfer at a server or crash it.
 * Instead, a second socket shares the local port and is connected to the remote address. Datagrams from the first
 * socket look as before, while answers and errors arrive at the second socket.
 */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '../../base/address.js';
import type { RefusalCode } from '../../base/refusal.js';
import type { OffloadSocket } from './offload/offload-socket.js';
import type { SystemCalls } from './offload/offload-system.js';
import { socketOptions } from './offload/offload-system.js';

export interface RefusalWatchOptions {
  readonly system: SystemCalls;
  /** Sends to the address. */
  readonly socket: dgram.Socket;
  readonly setPortSharing: OffloadSocket['setPortSharing'];
  readonly to: Address;
  /** Receives the datagrams from the address, which no longer reach `socket`. */
  readonly handleMessage: (bytes: Uint8Array, info: dgram.RemoteInfo) => void;
  /** Called for each reported refusal; the handler may close the socket. */
  readonly handleRefusal: (code: RefusalCode) => void;
}

export interface RefusalWatch {
  /** Ends the watch once everything that has arrived at its socket is read. */
  readonly end: () => void;
  /** Closes the socket of the watch at once. */
  readonly close: () => void;
}

/** The port of tcpmux, from which no datagram comes. */
const unusedPort = 1;

/** @throws NodeJS.ErrnoException if the system does not allow a watch; nothing stays open then */
export function openRefusalWatch(options: RefusalWatchOptions): RefusalWatch {
  const { system, socket, setPortSharing, to, handleMessage, handleRefusal } = options;
  const { address: host, port } = socket.address();
  const watch = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const fd = system.openUdpSocket(isIPv6(host));
  try {
    if (isIPv6(host)) system.setOption(fd, socketOptions.ipv6Only, 1);
    // The first socket shares its port only for this moment, so no other program can take the port. The
    // watches share it among themselves.
    system.setOption(fd, socketOptions.reuseAddress, 1);
    setPortSharing(true);
    try {
      system.bind(fd, { host, port });
    } finally {
      setPortSharing(false);
    }
    system.connect(fd, to);
    watch.bind({ fd, exclusive: true });
  } catch (error) {
    watch.close();
    system.close(fd);
    throw error;
  }
  let readCount = 0;
  let isEnding = false;
  let isClosed = false;
  watch.on('message', (bytes, info) => {
    readCount++;
    handleMessage(bytes, info);
  });
  // The first socket sees any other error when it sends.
  watch.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (isEnding) return;
    if (code === 'ECONNREFUSED') handleRefusal(code);
    // For IPv6, Linux reports a firewall's answer as EACCES.
    if (code === 'EHOSTUNREACH' || code === 'EACCES') handleRefusal('EHOSTUNREACH');
  });
  const close = () => {
    if (!isClosed) watch.close();
    isClosed = true;
  };
  const closeOnceRead = (seenCount: number) => {
    // Waits two turns, so that the socket is polled in between, whatever phase the event loop is in now.
    setImmediate(() =>
      setImmediate(() => (readCount === seenCount ? close() : closeOnceRead(readCount))),
    );
  };
  const end = () => {
    if (isEnding || isClosed) return;
    isEnding = true;
    try {
      // From now on, the peer's datagrams reach the first socket again. The datagrams in the queue must not be lost.
      system.connect(fd, { host: to.host, port: unusedPort });
      closeOnceRead(readCount);
    } catch {
      close();
    }
  };
  return { end, close };
}
