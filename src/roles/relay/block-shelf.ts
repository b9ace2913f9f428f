/** Where the blocks of a relayed object go when they arrive: into the cache, or into a window in memory. */
import { RangeSet, type ReadonlyRangeSet } from '../../base/range-set.js';
import type { ContentStore, HeldBlock } from '../../object/content-store.js';

export interface BlockShelf {
  /** Whether the object stays, so that it is fetched as a whole, even if nobody waits for it. */
  readonly keeps: boolean;
  /** Blocks that can be read. */
  readonly held: ReadonlyRangeSet;
  /** @param take gets undefined if the block is not there after all */
  read(block: number, take: (bytes: Uint8Array | undefined) => void): void;
  put(block: number, bytes: Uint8Array, handleWritten: () => void): void;
  forget(block: number): void;
  /** How many blocks beyond the one that is read should be there soon. */
  readonly aheadCount: number;
  close(): void;
}

/** So much beyond a block that a client waits for is fetched before what nobody waits for. */
const aheadBytes = 1024 * 1024;

/** The blocks of an object in the cache. */
export class StoredBlocks implements BlockShelf {
  readonly keeps = true;
  readonly aheadCount: number;
  readonly held = new RangeSet();
  /** Blocks that are being written. */
  private readonly arriving = new Map<number, Uint8Array>();

  constructor(
    private readonly store: ContentStore,
    private readonly contentSizeBytes: number,
    private readonly blockSizeBytes: number,
  ) {
    this.aheadCount = Math.ceil(aheadBytes / blockSizeBytes);
  }

  open(handleOpened: () => void): void {
    this.store.open(({ held }) => {
      for (const { index } of held as Iterable<HeldBlock>) this.held.add(index, index + 1);
      handleOpened();
    });
  }

  read(block: number, take: (bytes: Uint8Array | undefined) => void): void {
    const arriving = this.arriving.get(block);
    if (arriving !== undefined) {
      take(arriving);
      return;
    }
    const offsetBytes = block * this.blockSizeBytes;
    const sizeBytes = Math.min(this.blockSizeBytes, this.contentSizeBytes - offsetBytes);
    this.store.read(offsetBytes, sizeBytes, take);
  }

  put(block: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.held.add(block, block + 1);
    this.arriving.set(block, bytes);
    this.store.write(block * this.blockSizeBytes, bytes, () => {
      if (this.arriving.get(block) === bytes) this.arriving.delete(block);
      handleWritten();
    });
  }

  forget(block: number): void {
    this.held.remove(block, block + 1);
    this.arriving.delete(block);
    this.store.forget(block);
  }

  close(): void {
    this.store.end(false);
  }
}

/** The latest blocks of an object that is too large for the cache. */
export class PassingBlocks implements BlockShelf {
  readonly keeps = false;
  readonly aheadCount: number;
  readonly held = new RangeSet();
  /** The one that came first comes first. */
  private readonly blocks = new Map<number, Uint8Array>();
  private readonly maxCount: number;

  constructor(windowBytes: number, blockSizeBytes: number) {
    this.maxCount = Math.max(2, Math.floor(windowBytes / blockSizeBytes));
    this.aheadCount = Math.floor(this.maxCount / 2);
  }

  read(block: number, take: (bytes: Uint8Array | undefined) => void): void {
    take(this.blocks.get(block));
  }

  put(block: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.blocks.set(block, bytes);
    this.held.add(block, block + 1);
    for (const oldest of this.blocks.keys()) {
      if (this.blocks.size <= this.maxCount) break;
      this.forget(oldest);
    }
    handleWritten();
  }

  forget(block: number): void {
    this.blocks.delete(block);
    this.held.remove(block, block + 1);
  }

  close(): void {
    this.blocks.clear();
    this.held.clear();
  }
}
