/** A peer in conversation with the coordinator. */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { HeldDeltas } from './held-deltas.js';
import { RecordStream } from './record-stream.js';
import type { RosterPeer } from './roster.js';

/** What peers hold is passed on at most this often. */
export const heldIntervalMs = 100;

export class Member {
  readonly stream: RecordStream;
  /** What it has not been told of the blocks that others hold. */
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
    for (const record of this.deltas.take()) this.stream.push(record);
  }

  get dueAtMs(): TimeMs {
    // Without an acknowledgement, the stream has a timeout of its own.
    const isHeldDue = !this.deltas.isEmpty && this.stream.isIdle;
    return Math.min(this.stream.pollTimeout(), isHeldDue ? this.heldDueAtMs : Infinity);
  }

  private get heldDueAtMs(): TimeMs {
    return this.toldAtMs + heldIntervalMs;
  }
}
