/** UDP sockets of discovery. They are separate from the sockets of sessions, which share their ports with nobody. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';

/**
 * Opens a socket whose datagrams stay on the link: routers do not forward them.
 * @param isShared whether other sockets of this host may bind the same port
 * @throws the error of the system
 */
export async function openGroupSocket(
  { host, port }: Address,
  isShared: boolean,
): Promise<dgram.Socket> {
  const version6 = isIPv6(host.split('%')[0] ?? '');
  const socket = dgram.createSocket({
    type: version6 ? 'udp6' : 'udp4',
    reuseAddr: isShared,
    ipv6Only: version6,
  });
  try {
    socket.bind(port, host);
    await once(socket, 'listening');
    socket.setTTL(1);
    socket.setMulticastTTL(1);
  } catch (error) {
    socket.close();
    throw error;
  }
  // The network may be down for a while; queries and answers are repeated anyway.
  socket.on('error', () => undefined);
  return socket;
}
