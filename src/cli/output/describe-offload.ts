/** Says in one line what the system does for the sockets: UDP segmentation offload (GSO, GRO), and interfaces of paths. */
import type { Offload } from '../../node/net/offload/offload-socket.js';

/** @param way whether the command mostly sends or mostly receives */
export function describeOffload(offload: Offload, way: 'send' | 'receive'): string {
  const { routedHosts } = offload;
  const routed =
    routedHosts === undefined
      ? ''
      : `; the routing chooses the interface for ${routedHosts.join(', ')}`;
  return `${describeBatches(offload, way)}${routed}`;
}

function describeBatches(offload: Offload, way: 'send' | 'receive'): string {
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
