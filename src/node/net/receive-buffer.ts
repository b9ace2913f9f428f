/** Receive buffers of sockets. */
import type dgram from 'node:dgram';

/** Requested size of receive buffers; the system can grant less. */
export const wantedReceiveBufferBytes = 4 * 1024 * 1024;

/** Ratio of the reported buffer size to the requested size. Linux doubles the size to allow for overhead. */
export const reportedPerRequested = process.platform === 'linux' ? 2 : 1;

export function receiveBufferBytes(socket: dgram.Socket): number {
  return socket.getRecvBufferSize() / reportedPerRequested;
}

/**
 * Requests a large buffer. Does nothing if the buffer is already large: root can exceed the limit of the
 * system, and this request would reduce the buffer to the limit.
 */
export function widenReceiveBuffer(socket: dgram.Socket): void {
  if (receiveBufferBytes(socket) >= wantedReceiveBufferBytes) return;
  try {
    socket.setRecvBufferSize(wantedReceiveBufferBytes);
  } catch {
    // Some systems reject a size above their limit instead of granting less. Their default is good enough.
  }
}
