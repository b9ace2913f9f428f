/** Where the blocks of a relayed object go when they arrive: into the cache, or into a window in memory. */
import { assert } from '../../base/assert.js';
import { RangeSet, type ReadonlyRangeSet } from '../../base/range-set.js';
import type { ContentStore, HeldBlock } from '../../object/content-store.js';

export interface BlockShelf {
  /** Whether the object stays, so that it is fetched as a whole, even if nobody waits for it. */
  readonly keeps: boolean;
  /** Blocks that can be read. */
  readonly held: ReadonlyRangeSet;
  /** @returns a block that is still in memory as it arrived, so that nothing can have changed it since */
  recent(block: number): Uint8Array | undefined;
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

/** So much of what arrived last stays in memory, because clients that wait for it read it at about the same time. */
const recentBytes = 4 * 1024 * 1024;

/** The blocks of an object in the cache. */
export class StoredBlocks implements BlockShelf {
  readonly keeps = true;
  readonly aheadCount: number;
  readonly held = new RangeSet();
  /** Blocks that are being written. */
  private readonly arriving = new Map<number, Uint8Array>();
  private readonly latest: LatestBlocks;

  constructor(
    private readonly store: ContentStore,
    private readonly contentSizeBytes: number,
    private readonly blockSizeBytes: number,
  ) {
    this.aheadCount = Math.ceil(aheadBytes / blockSizeBytes);
    this.latest = new LatestBlocks(recentBytes / blockSizeBytes);
  }

  open(handleOpened: () => void): void {
    this.store.open(({ held }) => {
      for (const { index } of held as Iterable<HeldBlock>) this.held.add(index, index + 1);
      handleOpened();
    });
  }

  /** Whether any block has been written. */
  get isWritten(): boolean {
    return this.held.count > this.arriving.size;
  }

  recent(block: number): Uint8Array | undefined {
    return this.arriving.get(block) ?? this.latest.get(block);
  }

  read(block: number, take: (bytes: Uint8Array | undefined) => void): void {
    const offsetBytes = block * this.blockSizeBytes;
    const sizeBytes = Math.min(this.blockSizeBytes, this.contentSizeBytes - offsetBytes);
    this.store.read(offsetBytes, sizeBytes, take);
  }

  put(block: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.held.add(block, block + 1);
    this.arriving.set(block, bytes);
    this.latest.add(block, bytes);
    this.store.write(block * this.blockSizeBytes, bytes, () => {
      if (this.arriving.get(block) === bytes) this.arriving.delete(block);
      handleWritten();
    });
  }

  forget(block: number): void {
    this.held.remove(block, block + 1);
    this.arriving.delete(block);
    this.latest.delete(block);
    this.store.forget(block);
  }

  close(): void {
    this.latest.clear();
    this.store.end(false);
  }
}

/** The blocks of an object that no client has read yet: there are none, and no room is reserved for any. */
export class UnreadBlocks implements BlockShelf {
  readonly keeps = false;
  readonly aheadCount = 0;
  readonly held = new RangeSet();

  recent(): undefined {
    return undefined;
  }

  read(_block: number, take: (bytes: Uint8Array | undefined) => void): void {
    take(undefined);
  }

  put(): void {
    assert(false, 'nothing is fetched before it is read');
  }

  forget(): void {
    // There are none.
  }

  close(): void {
    // There is nothing to close.
  }
}

/** The latest blocks of an object that the cache does not keep. */
export class PassingBlocks implements BlockShelf {
  readonly keeps = false;
  readonly aheadCount: number;
  readonly held = new RangeSet();
  private readonly latest: LatestBlocks;

  constructor(windowBytes: number, blockSizeBytes: number) {
    const count = Math.max(2, Math.floor(windowBytes / blockSizeBytes));
    this.latest = new LatestBlocks(count);
    this.aheadCount = Math.floor(count / 2);
  }

  recent(block: number): Uint8Array | undefined {
    return this.latest.get(block);
  }

  /** What is held is in memory. */
  read(_block: number, take: (bytes: Uint8Array | undefined) => void): void {
    take(undefined);
  }

  put(block: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.held.add(block, block + 1);
    for (const left of this.latest.add(block, bytes)) this.held.remove(left, left + 1);
    handleWritten();
  }

  forget(block: number): void {
    this.latest.delete(block);
    this.held.remove(block, block + 1);
  }

  close(): void {
    this.latest.clear();
    this.held.clear();
  }
}

/** The blocks that arrived last. */
class LatestBlocks {
  /** The one that came first comes first. */
  private readonly blocks = new Map<number, Uint8Array>();

  constructor(private readonly maxCount: number) {}

  get(block: number): Uint8Array | undefined {
    return this.blocks.get(block);
  }

  /** @returns the blocks that leave for it */
  add(block: number, bytes: Uint8Array): number[] {
    const left: number[] = [];
    this.blocks.set(block, bytes);
    for (const oldest of this.blocks.keys()) {
      if (this.blocks.size <= this.maxCount) break;
      this.blocks.delete(oldest);
      left.push(oldest);
    }
    return left;
  }

  delete(block: number): void {
    this.blocks.delete(block);
  }

  clear(): void {
    this.blocks.clear();
  }
}
