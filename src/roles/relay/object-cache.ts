/** The port through which a relay keeps objects: on disk or in memory. */
import type { ContentStore } from '../../object/content-store.js';
import type { DigestTree } from '../../object/digest-tree.js';
import { digestSizeBytes } from '../../wire/sizes.js';

/** What is known of an object beside its content. */
export interface ObjectHead {
  /** The name under which it was asked for. */
  readonly name: string;
  /** The name that users see. */
  readonly label: string;
  readonly contentSizeBytes: number;
  readonly contentRoot: Uint8Array;
  readonly manifestDigest: Uint8Array;
  readonly manifest: Uint8Array;
  /** When the files were listed, by the clock of the host that has them. */
  readonly listedAtMs: number;
  /** The digests of all blocks. */
  readonly digestTree: DigestTree;
}

/** An object in a cache, for lists. */
export interface CachedObject
  extends Pick<ObjectHead, 'name' | 'contentSizeBytes' | 'contentRoot' | 'manifestDigest'> {
  readonly id: string;
  readonly manifestSizeBytes: number;
  /** Whether all of its content is there. */
  readonly isWhole: boolean;
}

/** Where a relay keeps objects. An object is whole or in part there, and survives a crash as far as it is durable. */
export interface ObjectCache {
  /** The objects at the start; the one that was used the longest time ago comes first. */
  readonly objects: readonly CachedObject[];
  /** @param take gets what is known of the object; undefined if it is damaged, so that the object is of no use */
  load(id: string, take: (head: ObjectHead | undefined) => void): void;
  /** Saves what is known of an object whose content is open. Without it, the content is of no use after a restart. */
  save(id: string, head: ObjectHead): void;
  /**
   * The content of an object that is not open. Its `open` finds blocks as far as the head is given. `end` closes it;
   * it is never complete in the sense of a store.
   * @param handleFailure gets a P2mpError if it cannot be written or read; anything else is a bug
   */
  open(
    id: string,
    contentSizeBytes: number,
    head: ObjectHead | undefined,
    handleFailure: (error: unknown) => void,
  ): ContentStore;
  /** Notes that an object has been used. */
  touch(id: string): void;
  /**
   * Removes an object that is not open, or will soon be closed.
   * @param handleRemoved gets false if some of it could not be removed
   */
  remove(id: string, handleRemoved: (isGone: boolean) => void): void;
}

/** Beside content, manifest and digests: names, times, a short journal, and what the file system rounds up. */
const overheadBytes = 64 * 1024;

/** The journal has at most six records for each block, also while a new one replaces it. */
const bytesPerBlock = digestSizeBytes + 6 * 24;

/** The room that an object takes at most. It is reserved even while the object is incomplete. */
export function roomOf(
  contentSizeBytes: number,
  manifestSizeBytes: number,
  blockCount: number,
): number {
  return contentSizeBytes + manifestSizeBytes + bytesPerBlock * blockCount + overheadBytes;
}
