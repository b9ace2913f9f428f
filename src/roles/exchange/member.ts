/** A peer in conversation with the coordinator. */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { HeldDeltas } from './held-deltas.js';
import { RecordStream } from './record-stream.js';
import type { RosterPeer } from './roster.js';

/** What peers hold and have stored is passed on at most this often. */
export const heldIntervalMs = 100;

export class Member {
  readonly stream: RecordStream;
  /** What it has not been told of what others hold and have stored. */
  readonly deltas = new HeldDeltas();
  /** Undefined until its first record has arrived. */
  peer: RosterPeer | undefined;
  /** Since when nothing has arrived from it. */
  heardAtMs: TimeMs;
  private toldAtMs: TimeMs = -Infinity;

  constructor(
    nowMs: TimeMs,
    readonly channel: number,
    readonly key: Uint8Array,
    readonly address: Address,
    clockOffsetMs: number,
  ) {
    this.stream = new RecordStream(nowMs, clockOffsetMs);
    this.heardAtMs = nowMs;
  }

  /** Whether it takes part in the exchange: all of its objects are known. */
  get isListed(): boolean {
    return this.peer?.isListed === true;
  }

  get isPresent(): boolean {
    return this.peer?.isPresent === true;
  }

  /** Says what peers hold, if it is time for that. */
  tellHeld(nowMs: TimeMs): void {
    if (this.deltas.isEmpty || nowMs < this.heldDueAtMs || !this.stream.isIdle) return;
    this.toldAtMs = nowMs;
    this.tellAll();
  }

  /** Says what peers hold, without waiting for the time. */
  tellAll(): void {
    for (const record of this.deltas.take()) this.stream.push(record);
  }

  /** When there is something to send to it; Infinity if there is nothing. */
  pollTimeout(): TimeMs {
    // Without an acknowledgement, the stream has a timeout of its own.
    const isHeldDue = !this.deltas.isEmpty && this.stream.isIdle;
    return Math.min(this.stream.pollTimeout(), isHeldDue ? this.heldDueAtMs : Infinity);
  }

  private get heldDueAtMs(): TimeMs {
    return this.toldAtMs + heldIntervalMs;
  }
}
