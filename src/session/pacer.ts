/** Keeps to a rate that a person has set: datagrams are sent at once, up to a few milliseconds' worth. */
import type { TimeMs } from '../machine.js';

/** What may go out in one go: timers do not fire more often than this. */
const burstMs = 2;

export class Pacer {
  /** When the next datagram may leave. */
  nextAtMs: TimeMs = -Infinity;

  constructor(private readonly rateBytesPerSec: number) {}

  maySend(nowMs: TimeMs): boolean {
    return nowMs >= this.nextAtMs - burstMs;
  }

  /** @param sizeBytes of the datagram, its headers not counted */
  handleSent(nowMs: TimeMs, sizeBytes: number): void {
    const fromMs = Math.max(this.nextAtMs, nowMs);
    this.nextAtMs = fromMs + (sizeBytes * 1000) / this.rateBytesPerSec;
  }
}
