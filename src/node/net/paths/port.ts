/** One of the sockets of an endpoint. */
import type dgram from 'node:dgram';
import type { Address } from '../../../base/address.js';
import type { GroupMemberships } from '../groups/group-memberships.js';
import type { OffloadSender, SendingSocket } from '../offload/offload-sender.js';
import type { SendBuffer } from '../send-buffer.js';
import type { BoundPort } from './port-choice.js';

/** An open socket and its sender. Its address is cached, because a query at each send would cost a system call. */
export interface Port extends BoundPort {
  readonly socket: dgram.Socket;
  readonly sender: OffloadSender;
  readonly sendBuffer: SendBuffer;
  readonly groups: GroupMemberships;
  readonly isRouted: boolean;
  /** Whether a path begins there. */
  readonly isPath: boolean;
  isOpen: boolean;
  readonly setPortSharing: SendingSocket['setPortSharing'];
}

export function addressOf({ socket }: Port): Address {
  const { address: host, port } = socket.address();
  return { host, port };
}

export function closePort(port: Port): Promise<void> {
  const { socket, sender, groups } = port;
  port.isOpen = false;
  sender.close();
  groups.close();
  return new Promise((resolve) => socket.close(() => resolve()));
}
