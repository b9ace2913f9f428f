/** Receive buffers of sockets. */
import type dgram from 'node:dgram';

/** The requested size; the system may grant less. */
export const wantedReceiveBufferBytes = 4 * 1024 * 1024;

/** Linux reports twice the requested size, since it adds its own overhead. */
export const reportedPerRequested = process.platform === 'linux' ? 2 : 1;

export function receiveBufferBytes(socket: dgram.Socket): number {
  return socket.getRecvBufferSize() / reportedPerRequested;
}

/** Asks for a large buffer, unless root was already granted one, which this request would shrink to the limit. */
export function widenReceiveBuffer(socket: dgram.Socket): void {
  if (receiveBufferBytes(socket) >= wantedReceiveBufferBytes) return;
  try {
    socket.setRecvBufferSize(wantedReceiveBufferBytes);
  } catch {
    // Some systems refuse instead of granting less; their default is good enough.
  }
}
