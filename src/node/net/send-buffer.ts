/**
 * Sizes the send buffer of a socket. It is large enough to keep a fast link busy while this process waits to be
 * scheduled on a busy host, but no larger, because a large buffer is a long queue on a slow link.
 */
import type dgram from 'node:dgram';
import { reportedPerRequested } from './receive-buffer.js';

/** The buffer holds what is sent in this time. */
const holdMs = 16;

/** A rate is measured over at least this time. The clock is read once per this many bytes. */
const spanMs = 100;
const lookBytes = 256 * 1024;

const maxBytes = 4 * 1024 * 1024;

/** A smaller change is not worth a system call. */
const growth = 1.25;

export class SendBuffer {
  /** As counted by the system. */
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

  /** Call this after passing bytes to the system. */
  handleSent(sizeBytes: number, now: () => number): void {
    this.unlookedBytes += sizeBytes;
    if (this.unlookedBytes < lookBytes || !this.isGranted) return;
    this.sentBytes += this.unlookedBytes;
    this.unlookedBytes = 0;
    const nowMs = now();
    const elapsedMs = nowMs - (this.sinceMs ?? -Infinity);
    if (elapsedMs < spanMs) return;
    // Filling an empty buffer must not count as a rate.
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
      // Some systems refuse instead of granting less; the current size is good enough.
    }
    this.sizeBytes = this.socket.getSendBufferSize();
    this.isGranted = this.sizeBytes >= wantedBytes;
  }
}
