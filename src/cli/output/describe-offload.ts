/** Says in one line whether UDP segmentation offload (GSO, GRO) is in use. */
import type { Offload } from '../../node/net/offload/offload-socket.js';

/** @param way whether the command mostly sends or mostly receives */
export function describeOffload(offload: Offload, way: 'send' | 'receive'): string {
  const { reason = 'not requested' } = offload;
  if (way === 'send') {
    return offload.send
      ? 'sockets: datagrams are sent in batches (UDP GSO)'
      : `sockets: datagrams are sent one by one: ${reason}`;
  }
  return offload.receive
    ? 'sockets: datagrams are received in batches (UDP GRO)'
    : `sockets: datagrams are received one by one: ${reason}`;
}
