/**
 * How much the system holds of what a socket sends: enough to keep a fast link busy while this process waits
 * for its turn on a busy host, and no more, since on a slow link it would be a long queue.
 */
import type dgram from 'node:dgram';
import { grantedPerTold } from './receive-buffer.js';

/** What goes out in so long is held. */
const holdMs = 16;

/** Over so long at least it is measured; the clock is looked at after so many bytes. */
const spanMs = 100;
const lookBytes = 256 * 1024;

const maxBytes = 4 * 1024 * 1024;

/** Less is not worth a call of the system. */
const growth = 1.25;

export class SendBuffer {
  /** As the system counts. */
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

  /** So much was handed to the system. */
  handleSent(sizeBytes: number, now: () => number): void {
    this.unlookedBytes += sizeBytes;
    if (this.unlookedBytes < lookBytes || !this.isGranted) return;
    this.sentBytes += this.unlookedBytes;
    this.unlookedBytes = 0;
    const nowMs = now();
    const elapsedMs = nowMs - (this.sinceMs ?? -Infinity);
    if (elapsedMs < spanMs) return;
    // What fills an empty buffer is no rate.
    const rate = (this.sentBytes - this.sizeBytes) / elapsedMs;
    const wantedBytes = Math.min(maxBytes, rate * holdMs);
    this.sentBytes = 0;
    this.sinceMs = nowMs;
    if (wantedBytes >= growth * this.sizeBytes) this.grow(Math.round(wantedBytes));
  }

  private grow(wantedBytes: number): void {
    try {
      this.socket.setSendBufferSize(Math.ceil(wantedBytes / grantedPerTold));
    } catch {
      // Some systems refuse in place of granting less; what there is serves as well.
    }
    this.sizeBytes = this.socket.getSendBufferSize();
    this.isGranted = this.sizeBytes >= wantedBytes;
  }
}
