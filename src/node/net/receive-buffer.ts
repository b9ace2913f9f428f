/** How much the system holds of what comes to a socket until this process gets to it. */
import type dgram from 'node:dgram';

/** Asked of the system, which may grant less. */
export const wantedReceiveBufferBytes = 4 * 1024 * 1024;

/** Linux grants twice what it is told, for its own use, and counts that too when it is asked. */
export const grantedPerTold = process.platform === 'linux' ? 2 : 1;

export function receiveBufferBytes(socket: dgram.Socket): number {
  return socket.getRecvBufferSize() / grantedPerTold;
}

/** What root was granted is left alone: to ask again as others do would shrink it to their limit. */
export function widenReceiveBuffer(socket: dgram.Socket): void {
  if (receiveBufferBytes(socket) >= wantedReceiveBufferBytes) return;
  try {
    socket.setRecvBufferSize(wantedReceiveBufferBytes);
  } catch {
    // Some systems refuse in place of granting less; their default serves as well.
  }
}
