/**
 * Reads content ahead of the rate groups to compute its digest early. This pass runs while a receiver holds
 * all content and waits only for the digest, so that this receiver need not wait for slower ones (SESSIONS
 * 5.8).
 */
import type { DigestView } from './digest-view.js';

/** Maximum number of blocks being read for the digest at the same time: enough to keep a disk busy. */
const maxPending = 8;

export class DigestPass {
  private readonly pending = new Set<number>();

  /**
   * The next block of the content to read for the receivers of this view.
   * @param isTaken whether the digest of a block is known or a rate group is reading the block
   */
  next(view: DigestView, isTaken: (block: number) => boolean): number | undefined {
    if (this.pending.size >= maxPending) return undefined;
    const block = view.nextToRead((each) => isTaken(each) || this.pending.has(each));
    if (block !== undefined) this.pending.add(block);
    return block;
  }

  isReading(block: number): boolean {
    return this.pending.has(block);
  }

  /**
   * Records that a block has been read.
   * @returns whether this pass requested the block
   */
  take(block: number): boolean {
    return this.pending.delete(block);
  }
}
