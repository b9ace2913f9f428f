/** A block in flight in a session: sealed once, sent in bursts, reported on. */
import { Block } from '../block-window.js';
import type { TimeMs } from '../machine.js';

export class SessionBlock extends Block {
  /** The block as it goes out; undefined where it does not. */
  wire: Uint8Array | undefined;
  /** Whether they were read: a block may be read for its digest alone. */
  isRead = false;
  /** Which reading of the block this is: a part of its nonce. */
  generation = 0;
  /** The number of the burst that its current round is; undefined until its first datagram leaves. */
  burst: number | undefined;
  /** When the last datagram of the round was sent. */
  sentAtMs: TimeMs = 0;
  /** Receivers whose report on this round is awaited. */
  awaitedCount = 0;
  private readonly awaited: Uint8Array;

  constructor(receiverCount: number) {
    super(receiverCount);
    this.awaited = new Uint8Array(receiverCount);
  }

  override get hasBytes(): boolean {
    return this.isRead;
  }

  override reset(index: number, firstSequence: number, segmentCount: number): void {
    super.reset(index, firstSequence, segmentCount);
    this.isRead = false;
    this.awaited.fill(0);
    this.awaitedCount = 0;
  }

  override beginRound(): void {
    super.beginRound();
    this.burst = undefined;
  }

  isAwaited(receiver: number): boolean {
    return this.awaited[receiver] === 1;
  }

  await(receiver: number): void {
    if (this.awaited[receiver] === 1) return;
    this.awaited[receiver] = 1;
    this.awaitedCount++;
  }

  /** Its report has come, or is no longer waited for. */
  endAwait(receiver: number): void {
    if (this.awaited[receiver] === 0) return;
    this.awaited[receiver] = 0;
    this.awaitedCount--;
  }
}
