/**
 * The content of an object that a relay receives and sends on at the same time. To the session that receives it, it is
 * a store; to the session that sends it on, it is a source, where a read waits for its block.
 */
import { RangeSet } from '../../base/range-set.js';
import type { ContentSource } from '../../object/content-source.js';
import type { Completion, ContentStore, FoundContent } from '../../object/content-store.js';
import type { Extra } from '../../wire/lists.js';

type Take = (bytes: Uint8Array | undefined) => void;

export interface PassingContentOptions {
  /** Where the content is while it passes. */
  readonly store: ContentStore;
  readonly blockSizeBytes: number;
  readonly contentSizeBytes: number;
  /** The content has been verified. Call the function once it need not be here any more. */
  readonly handleVerified: (finish: (note: string) => void) => void;
  /** The sender has withdrawn a part of what is being sent on. */
  readonly handleWithdrawn: () => void;
  /** A block was wrong that has been sent on already. */
  readonly handleFalse: () => void;
}

export class PassingContent implements ContentStore, ContentSource {
  private readonly held = new RangeSet();
  /** Blocks that are being written. */
  private readonly arriving = new Map<number, Uint8Array>();
  private readonly waiting = new Map<number, Take[]>();
  /** Blocks that the latest session on has read. */
  private readonly taken = new RangeSet();
  private readonly checks: (() => void)[] = [];
  private isVerified = false;
  private hasEnded = false;

  constructor(private readonly options: PassingContentOptions) {}

  /** Another session sends the content on from now on. What the one before waits for is of no use. */
  restart(): void {
    this.waiting.clear();
    this.taken.clear();
    this.checks.length = 0;
  }

  // --- The session that sends it on

  read(offsetBytes: number, _sizeBytes: number, take: Take): void {
    const block = offsetBytes / this.options.blockSizeBytes;
    const arriving = this.arriving.get(block);
    if (arriving !== undefined) this.pass(block, arriving, take);
    else if (this.held.has(block)) this.readHeld(block, take);
    else this.waiting.set(block, [...(this.waiting.get(block) ?? []), take]);
  }

  /** The content does not change, once it is verified. */
  check(handleUnchanged: () => void): void {
    if (this.isVerified) handleUnchanged();
    else this.checks.push(handleUnchanged);
  }

  private readHeld(block: number, take: Take): void {
    const { store, blockSizeBytes, contentSizeBytes } = this.options;
    const offsetBytes = block * blockSizeBytes;
    const sizeBytes = Math.min(blockSizeBytes, contentSizeBytes - offsetBytes);
    store.read(offsetBytes, sizeBytes, (bytes) => {
      if (bytes !== undefined && this.held.has(block)) this.pass(block, bytes, take);
      else if (!this.hasEnded) this.read(offsetBytes, sizeBytes, take);
    });
  }

  private pass(block: number, bytes: Uint8Array, take: Take): void {
    this.taken.add(block, block + 1);
    take(bytes);
  }

  private wake(block: number, bytes: Uint8Array): void {
    const takes = this.waiting.get(block) ?? [];
    this.waiting.delete(block);
    for (const take of takes) this.pass(block, bytes, take);
  }

  // --- The session that receives it

  open(handleFound: (found: FoundContent) => void): void {
    this.options.store.open((found) => {
      const held = [...found.held];
      for (const { index } of held) this.held.add(index, index + 1);
      handleFound({ ...found, held });
      const awaited = [...this.waiting].filter(([block]) => this.held.has(block));
      for (const [block, takes] of awaited) {
        this.waiting.delete(block);
        for (const take of takes) this.readHeld(block, take);
      }
    });
  }

  write(offsetBytes: number, bytes: Uint8Array, handleWritten: () => void): void {
    const block = offsetBytes / this.options.blockSizeBytes;
    this.held.add(block, block + 1);
    this.arriving.set(block, bytes);
    this.options.store.write(offsetBytes, bytes, () => {
      if (this.arriving.get(block) === bytes) this.arriving.delete(block);
      handleWritten();
    });
    this.wake(block, bytes);
  }

  /** A sender withdraws nothing once a relay has spoken for a receiver. */
  withdraw(): void {
    this.options.handleWithdrawn();
  }

  forget(block: number): void {
    this.held.remove(block, block + 1);
    this.arriving.delete(block);
    this.options.store.forget(block);
    if (this.taken.has(block)) this.options.handleFalse();
  }

  verify(
    leafOf: (block: number) => Uint8Array,
    handleDamaged: (blocks: readonly number[]) => void,
  ): void {
    this.options.store.verify(leafOf, handleDamaged);
  }

  complete(_doomed: Iterable<Extra>, handleCompleted: (completion: Completion) => void): void {
    this.isVerified = true;
    for (const handleUnchanged of this.checks.splice(0)) handleUnchanged();
    this.options.handleVerified((note) => handleCompleted({ note, deletion: undefined }));
  }

  end(): void {
    this.hasEnded = true;
    // The files are never placed.
    this.options.store.end(false);
  }
}
