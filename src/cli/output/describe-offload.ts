/** Which kind of socket runs, in one line for people. */
import type { Offload } from '../../node/net/offload/offload-socket.js';

/** @param way what the command mostly does with its sockets */
export function describeOffload(offload: Offload, way: 'send' | 'receive'): string {
  const { reason = 'not asked for' } = offload;
  if (way === 'send') {
    return offload.send
      ? 'sockets: batches leave in one call (UDP GSO)'
      : `sockets: each datagram leaves by itself: ${reason}`;
  }
  return offload.receive
    ? 'sockets: datagrams come in batches (UDP GRO)'
    : `sockets: each datagram comes by itself: ${reason}`;
}
