/**
 * Adapts the send buffer of a socket to the sending rate. The buffer must be large enough to keep a fast link
 * busy while this process waits for the CPU. It must not be larger, because on a slow link a large buffer is
 * a long queue.
 */
import type dgram from 'node:dgram';
import { reportedPerRequested } from './receive-buffer.js';

/** The buffer has room for the data that is sent in this time at the current rate. */
const holdMs = 16;

/**
 * `spanMs`: minimum time over which a rate is measured. `lookBytes`: number of bytes between two readings of
 * the clock.
 */
const spanMs = 100;
const lookBytes = 256 * 1024;

const maxBytes = 4 * 1024 * 1024;

/** Minimum growth factor. A smaller change is not worth a system call. */
const growth = 1.25;

export class SendBuffer {
  /** Size of the buffer as reported by the system. */
  private sizeBytes: number;
  private isGranted = true;
  private sentBytes = 0;
  private unlookedBytes = 0;
  private sinceMs: number | undefined;

  constructor(
    private readonly socket: Pick<dgram.Socket, 'getSendBufferSize' | 'setSendBufferSize'>,
  ) {
    this.sizeBytes = socket.getSendBufferSize();
  }

  /** Must be called after passing bytes to the system. */
  handleSent(sizeBytes: number, now: () => number): void {
    this.unlookedBytes += sizeBytes;
    if (this.unlookedBytes < lookBytes || !this.isGranted) return;
    this.sentBytes += this.unlookedBytes;
    this.unlookedBytes = 0;
    const nowMs = now();
    const elapsedMs = nowMs - (this.sinceMs ?? -Infinity);
    if (elapsedMs < spanMs) return;
    // Subtract the bytes that only filled the buffer, because they have not left this host.
    const rate = (this.sentBytes - this.sizeBytes) / elapsedMs;
    const wantedBytes = Math.min(maxBytes, rate * holdMs);
    this.sentBytes = 0;
    this.sinceMs = nowMs;
    if (wantedBytes >= growth * this.sizeBytes) this.grow(Math.round(wantedBytes));
  }

  private grow(wantedBytes: number): void {
    try {
      this.socket.setSendBufferSize(Math.ceil(wantedBytes / reportedPerRequested));
    } catch {
      // Some systems reject a size above their limit instead of granting less. The current size is good
      // enough.
    }
    this.sizeBytes = this.socket.getSendBufferSize();
    this.isGranted = this.sizeBytes >= wantedBytes;
  }
}
