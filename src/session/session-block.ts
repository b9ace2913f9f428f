/** A block in flight in a session: sealed once, sent in bursts, reported on. */
import { Block } from '../block-window.js';
import type { TimeMs } from '../machine.js';

export class SessionBlock extends Block {
  sealed: Uint8Array | undefined;
  /** Which reading of the block this is: a part of its nonce. */
  generation = 0;
  /** The number of the burst that its current round is; undefined until its first datagram leaves. */
  burst: number | undefined;
  /** When the last datagram of the round was sent. */
  sentAtMs: TimeMs = 0;
  /** The last segment that goes out in this round. */
  lastSegment = 0;
  /** Receivers whose report on this round is awaited. */
  awaitedCount = 0;
  private readonly awaited: Uint8Array;

  /** @param awaitedBlocks by receiver, in how many blocks its report is awaited */
  constructor(
    receiverCount: number,
    private readonly awaitedBlocks: Uint32Array = new Uint32Array(receiverCount),
  ) {
    super(receiverCount);
    this.awaited = new Uint8Array(receiverCount);
  }

  override get hasBytes(): boolean {
    return this.sealed !== undefined;
  }

  override reset(index: number, firstSequence: number, segmentCount: number): void {
    super.reset(index, firstSequence, segmentCount);
    this.sealed = undefined;
    this.awaited.fill(0);
    this.awaitedCount = 0;
  }

  override beginRound(): void {
    super.beginRound();
    this.packets.length = 0;
    this.burst = undefined;
  }

  isAwaited(receiver: number): boolean {
    return this.awaited[receiver] === 1;
  }

  await(receiver: number): void {
    if (this.awaited[receiver] === 1) return;
    this.awaited[receiver] = 1;
    this.awaitedCount++;
    this.awaitedBlocks[receiver] = (this.awaitedBlocks[receiver] as number) + 1;
  }

  /** Its report has come, or is no longer waited for. */
  endAwait(receiver: number): void {
    if (this.awaited[receiver] === 0) return;
    this.awaited[receiver] = 0;
    this.awaitedCount--;
    this.awaitedBlocks[receiver] = (this.awaitedBlocks[receiver] as number) - 1;
  }

  /** Nothing of it is waited for any longer. */
  endAwaits(): void {
    for (let i = 0; this.awaitedCount > 0 && i < this.awaited.length; i++) this.endAwait(i);
  }
}
