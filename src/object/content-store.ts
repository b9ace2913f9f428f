/**
 * The port through which a receiver keeps the content of an object: on disk or in memory. A store can be read while it
 * fills, so a receiver can forward an object that is still arriving.
 *
 * Each operation ends with a call of its callback, possibly before the operation returns, and never after `end`, except
 * that of `write`. If an operation fails, its callback is not called (except that of `write`), and the handler given to
 * `create` gets the error.
 */
import type { Range, ReadonlyRangeSet } from '../base/range-set.js';
import type { Extra, Undeleted } from '../wire/lists.js';
import type { Deletion, ExistingFiles } from '../wire/offer.js';
import type { WithdrawalReason } from '../wire/withdrawn.js';
import type { ContentSource } from './content-source.js';
import type { Manifest } from './manifest.js';

/** A block that a store holds: the block's number within the content, and its digest. */
export interface HeldBlock {
  readonly index: number;
  readonly leaf: Uint8Array;
}

/** What a store holds when it is opened. */
export interface FoundContent {
  /** By ascending numbers. */
  readonly held: Iterable<HeldBlock>;
  /** Ranges of blocks, numbered within the content, that are neither needed nor verified. */
  readonly kept: readonly Range[];
  /** Files whose size and time are unchanged. Their blocks are among those kept. */
  readonly unchangedFiles: number;
  /** Entries that the sender does not send, in folders that it sends. Empty with the deletion `none`. */
  readonly extras: Iterable<Extra>;
}

/** What was deleted because the sender does not send it or, if the sender only asked, what would be deleted. */
export interface DeletionResult {
  readonly deletedEntries: number;
  /** Entries that should have been deleted, and still exist. */
  readonly undeletedEntries: number;
  /** The first 1,000 names of what was deleted. Names of folders end with a slash. */
  readonly deletedNames: readonly string[];
  /** The first 100 of the entries that were not deleted, with the reason as text for users. */
  readonly undeleted: readonly (Undeleted & { readonly reason: string })[];
}

/** The result of a completed object. */
export interface Completion {
  /** A note for users; empty for none. */
  readonly note: string;
  /** Undefined unless the sender asked for deletion. */
  readonly deletion: DeletionResult | undefined;
}

/** Which object a store is for, and who sends it. */
export interface StoredObject {
  /** The SHA-256 of the manifest in hexadecimal. */
  readonly manifestDigest: string;
  /** The name that the sender shows to users. */
  readonly label: string;
  readonly senderKey: Uint8Array;
}

/** The object to store, and what to do with what exists already. */
export interface StoreRequest extends StoredObject {
  /** The number of the session that fills the store. */
  readonly session: number;
  readonly manifest: Manifest;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
  /** With `list`, the store only finds out what `delete` would delete; nothing is written to it. */
  readonly deletion: Deletion;
  /**
   * When the sender listed its files, by its own clock. If a file changed less than 2 s before that, its time need not
   * show a later change.
   */
  readonly listedAtMs: number;
}

/** The store of one object during one session. */
export interface ContentStore extends ContentSource {
  /** Reads what was written or held, but not what is kept. An error counts as bytes that the store does not have. */
  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array | undefined) => void): void;
  /** Finds out what is held. Called first, once. A store may answer and fail later, because it is still being opened. */
  open(handleFound: (found: FoundContent) => void): void;
  /** @param handleWritten called when the store no longer needs the bytes, even if writing failed or the store ended */
  write(offsetBytes: number, bytes: Uint8Array, handleWritten: () => void): void;
  /** The content of this block is wrong; it will be written again. */
  forget(block: number): void;
  /**
   * The sender can no longer read these entries, by their numbers in the manifest. They must not be stored under their
   * names; what exists there stays. Called with all of them whenever there are more.
   * @param blocks blocks of the content that will not be written any more; they are not verified
   */
  withdraw(entries: ReadonlyMap<number, WithdrawalReason>, blocks: ReadonlyRangeSet): void;
  /**
   * Compares what the store really holds with the digests, as far as it is configured to.
   * @param leafOf the digest of a block that is not kept
   * @param handleDamaged gets the blocks that differ
   */
  verify(
    leafOf: (block: number) => Uint8Array,
    handleDamaged: (blocks: readonly number[]) => void,
  ): void;
  /**
   * Makes the whole content durable under its final names, then deletes entries.
   * @param doomed entries of `extras`, in the same order. The store checks that they are still the same. Read once.
   */
  complete(doomed: Iterable<Extra>, handleCompleted: (completion: Completion) => void): void;
  /** Ends the use of this store. What it holds of an incomplete object stays for a later session. */
  end(isComplete: boolean): void;
}

/** Where objects are stored: a folder, or memory. */
export interface ContentStores {
  /** @param handleFailure gets each error of the store: a P2mpError, or anything else if the error is a bug */
  create(request: StoreRequest, handleFailure: (error: unknown) => void): ContentStore;
  /** Removes what is held of an object that will not be sent again. Its stores have ended. */
  drop(object: StoredObject): void;
}
