/**
 * Reads content ahead of the rate groups to compute its digest early. This pass runs while a receiver holds
 * all content and waits only for the digest, so that this receiver need not wait for slower ones (SESSIONS
 * 5.8).
 */
import type { DigestView } from './digest-view.js';

/** Maximum number of blocks being read for the digest at the same time: enough to keep a disk busy. */
const maxPending = 8;

export interface DigestPassOptions {
  /** Whether the digest of this block of the content is known or a rate group is reading the block. */
  readonly isTaken: (block: number) => boolean;
  /** Requests a block of the content. */
  readonly need: (block: number) => void;
}

export class DigestPass {
  private readonly pending = new Set<number>();

  constructor(private readonly options: DigestPassOptions) {}

  /** Requests the next blocks for the receivers of this view. */
  advance(view: DigestView): void {
    const { isTaken, need } = this.options;
    while (this.pending.size < maxPending) {
      const block = view.nextToRead((each) => isTaken(each) || this.pending.has(each));
      if (block === undefined) return;
      this.pending.add(block);
      need(block);
    }
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
