/**
 * Reads the content ahead of the rate groups, only to compute its digest. It does so while a receiver that already
 * holds everything waits for the digest and should not wait for slower receivers (SESSIONS 5.8).
 */

/** The number of blocks read for the digest at once. This is enough to keep a disk busy. */
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

  /** Takes a block that was read. @returns whether this pass requested it */
  take(block: number): boolean {
    return this.pending.delete(block);
  }
}
