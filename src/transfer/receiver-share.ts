/** What a receiver lets a session send, because many sessions arrive there at once (SESSIONS 5.15). */
import type { TimeMs } from '../base/machine.js';
import { RateLimit } from '../path/pacer.js';
import { leastShareBytesPerSec } from './config.js';

export class ReceiverShare {
  private readonly limit = new RateLimit(Infinity);
  private readonly pacer = this.limit.createPacer();
  private isNew = false;

  constructor(private readonly path: { readonly datagramSizeBytes: number }) {}

  /** Infinity for no limit. */
  get bytesPerSec(): number {
    return this.limit.bytesPerSec;
  }

  /** In datagrams per millisecond. */
  get perMs(): number {
    return this.bytesPerSec / (1000 * this.path.datagramSizeBytes);
  }

  /** @param bytesPerSec undefined for no limit */
  set(bytesPerSec = Infinity): void {
    if (this.bytesPerSec === Infinity && bytesPerSec < Infinity) this.isNew = true;
    this.limit.lowerTo(Math.max(leastShareBytesPerSec, bytesPerSec));
  }

  /** @returns whether there is a limit since the last call, and there was none before */
  takeOnset(): boolean {
    const { isNew } = this;
    this.isNew = false;
    return isNew && this.bytesPerSec < Infinity;
  }

  maySend(nowMs: TimeMs): boolean {
    return this.bytesPerSec === Infinity || this.pacer.maySend(nowMs);
  }

  /** If `maySend` last forbade sending: the time from which it allows sending. Infinity otherwise. */
  get nextSendAtMs(): TimeMs {
    return this.bytesPerSec === Infinity ? Infinity : this.pacer.nextSendAtMs;
  }

  handleSent(nowMs: TimeMs, sizeBytes: number): void {
    this.pacer.handleSent(nowMs, this.limit.timeMsOf(sizeBytes));
  }

  handleTimeout(nowMs: TimeMs): void {
    this.pacer.handleTimeout(nowMs);
  }
}
