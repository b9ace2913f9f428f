/**
 * Notices that a port refuses datagrams: its host answers with ICMP, which the system reports to a connected
 * socket alone. Nothing extra is sent for that, since even a harmless datagram could begin a transfer at a
 * server, or crash it. Instead, a second socket takes the same local port and is connected to the place: what
 * the first one sends there looks as before, while the answers, and the errors, reach the second one.
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
  /** Sends to the place. */
  readonly socket: dgram.Socket;
  readonly setPortSharing: OffloadSocket['setPortSharing'];
  readonly to: Address;
  /** What comes from the place no longer reaches `socket`. */
  readonly handleMessage: (bytes: Uint8Array, info: dgram.RemoteInfo) => void;
  /** Called for each refusal that is reported; the socket may be closed then. */
  readonly handleRefusal: (code: RefusalCode) => void;
}

/** @throws NodeJS.ErrnoException where the system does not allow it; nothing stays open then */
export function openRefusalWatch(options: RefusalWatchOptions): dgram.Socket {
  const { system, socket, setPortSharing, to, handleMessage, handleRefusal } = options;
  const { address: host, port } = socket.address();
  const watch = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const fd = system.openUdpSocket(isIPv6(host));
  try {
    if (isIPv6(host)) system.setOption(fd, socketOptions.ipv6Only, 1);
    // The first socket shares its port for this moment alone, so no other program can ever take it. The
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
  watch.on('message', handleMessage);
  // Of other errors, the first socket hears as soon as it sends.
  watch.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'ECONNREFUSED') handleRefusal(code);
    // By IPv6, Linux reports a firewall's answer as EACCES.
    if (code === 'EHOSTUNREACH' || code === 'EACCES') handleRefusal('EHOSTUNREACH');
  });
  return watch;
}
