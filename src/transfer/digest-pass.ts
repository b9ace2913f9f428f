/**
 * Reads content ahead of the rate groups to compute its digest early. This pass runs while a receiver holds
 * all content and waits only for the digest, so that this receiver need not wait for slower ones (SESSIONS
 * 5.8).
 */

/** Maximum number of blocks being read for the digest at the same time. This number keeps a disk busy. */
const maxPending = 8;

export interface DigestPassOptions {
  /** The range of content blocks. */
  readonly firstBlock: number;
  readonly endBlock: number;
  /** Whether the block's digest is known or a rate group is reading the block. */
  readonly isTaken: (block: number) => boolean;
  readonly need: (block: number) => void;
}

export class DigestPass {
  private nextBlock: number;
  private readonly pending = new Set<number>();

  constructor(private readonly options: DigestPassOptions) {
    this.nextBlock = options.firstBlock;
  }

  /** Requests the next blocks. */
  advance(): void {
    const { endBlock, isTaken, need } = this.options;
    while (this.nextBlock < endBlock && this.pending.size < maxPending) {
      const block = this.nextBlock++;
      if (isTaken(block)) continue;
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
