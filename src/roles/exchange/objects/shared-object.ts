/**
 * An object that a peer of an exchange has, as a whole or in part: its own, or one that a fetch is filling. Sessions with
 * other peers read it like any source. They are asked only for what is held; a block that is lost meanwhile is waited
 * for.
 */
import { assert } from '../../../base/assert.js';
import { RangeSet, type ReadonlyRangeSet } from '../../../base/range-set.js';
import type { ContentSource } from '../../../object/content-source.js';
import type { ContentStore } from '../../../object/content-store.js';
import type { ObjectHead } from '../../relay/object-cache.js';

type Take = (bytes: Uint8Array | undefined) => void;

interface Read {
  readonly sizeBytes: number;
  readonly take: Take;
}

export interface SharedObjectOptions {
  readonly blockCount: number;
  readonly blockSizeBytes: number;
  /** Further blocks can be read. */
  readonly handleHeld: (start: number, end: number) => void;
}

export class SharedObject implements ContentSource {
  private readonly heldBlocks = new RangeSet();
  private known: ObjectHead | undefined;
  /** Where blocks can be read now; undefined while there is no such place. */
  private place: ContentSource | undefined;
  /** The store that a fetch fills. */
  private store: ContentStore | undefined;
  private readonly waiting = new Map<number, Read[]>();

  constructor(private readonly options: SharedObjectOptions) {}

  /** An object that is there as a whole. */
  static whole(
    options: SharedObjectOptions,
    head: ObjectHead,
    source: ContentSource,
  ): SharedObject {
    const object = new SharedObject(options);
    object.setHead(head);
    object.place = source;
    object.hold(0, options.blockCount);
    return object;
  }

  /** Undefined until manifest and digests are known; then the object can be offered. */
  get head(): ObjectHead | undefined {
    return this.known;
  }

  /** The blocks that can be read. */
  get held(): ReadonlyRangeSet {
    return this.heldBlocks;
  }

  setHead(head: ObjectHead): void {
    this.known = head;
  }

  /** These blocks are held and verified. */
  hold(start: number, end: number): void {
    if (end <= start) return;
    this.heldBlocks.add(start, end);
    this.options.handleHeld(start, end);
    this.readAwaited();
  }

  // --- Sessions with other peers

  read(offsetBytes: number, sizeBytes: number, take: Take): void {
    const block = offsetBytes / this.options.blockSizeBytes;
    assert(Number.isInteger(block), 'sessions read blocks');
    this.readBlock(block, sizeBytes, take);
  }

  check(handleUnchanged: () => void): void {
    if (this.place === undefined) handleUnchanged();
    else this.place.check(handleUnchanged);
  }

  private readBlock(block: number, sizeBytes: number, take: Take): void {
    const { place } = this;
    if (place === undefined || !this.heldBlocks.has(block)) {
      this.await(block, { sizeBytes, take });
      return;
    }
    place.read(block * this.options.blockSizeBytes, sizeBytes, (bytes) => {
      // Meanwhile, the content has moved to its final place, or the block is lost.
      if (bytes === undefined && this.place !== place) this.readBlock(block, sizeBytes, take);
      else if (bytes === undefined) this.await(block, { sizeBytes, take });
      else take(bytes);
    });
  }

  private await(block: number, read: Read): void {
    const reads = this.waiting.get(block);
    if (reads === undefined) this.waiting.set(block, [read]);
    else reads.push(read);
  }

  private setPlace(place: ContentSource | undefined): void {
    this.place = place;
    this.readAwaited();
  }

  /** Reads what was waited for, as far as it is there now. */
  private readAwaited(): void {
    if (this.place === undefined) return;
    for (const [block, reads] of [...this.waiting]) {
      if (!this.heldBlocks.has(block)) continue;
      this.waiting.delete(block);
      for (const { sizeBytes, take } of reads) this.readBlock(block, sizeBytes, take);
    }
  }

  // --- The fetch that fills it

  /**
   * Reads from this store while a fetch fills it.
   * @param openPlace the content under its final names, once it is complete
   */
  fill(store: ContentStore, openPlace: () => ContentSource): ContentStore {
    this.store = store;
    this.setPlace(store);
    const { blockSizeBytes } = this.options;
    return {
      open: (handleFound) => store.open(handleFound),
      read: (offsetBytes, sizeBytes, take) => store.read(offsetBytes, sizeBytes, take),
      check: (handleUnchanged) => store.check(handleUnchanged),
      write: (offsetBytes, bytes, handleWritten) =>
        store.write(offsetBytes, bytes, () => {
          const block = offsetBytes / blockSizeBytes;
          if (this.store === store) this.hold(block, block + 1);
          handleWritten();
        }),
      // The digests are known, so nothing is withdrawn.
      withdraw: () => undefined,
      forget: (block) => {
        this.heldBlocks.remove(block, block + 1);
        store.forget(block);
      },
      verify: (leafOf, handleDamaged) => store.verify(leafOf, handleDamaged),
      complete: (doomed, handleCompleted) => {
        // The content moves to its final place.
        this.setPlace(undefined);
        store.complete(doomed, (completion) => {
          this.setPlace(openPlace());
          handleCompleted(completion);
        });
      },
      end: (isComplete) => {
        this.store = undefined;
        if (!isComplete) this.setPlace(undefined);
        store.end(isComplete);
      },
    };
  }
}
