/**
 * The object that a fetch fills: its manifest, its leaf digests and its store. Nothing in it is trusted before it is
 * verified, because each source may lie: the manifest against its digest, and each block against its leaf digest.
 */
import { type Range, RangeSet, type ReadonlyRangeSet } from '../../base/range-set.js';
import type {
  Completion,
  ContentStore,
  ContentStores,
  FoundContent,
  HeldBlock,
} from '../../object/content-store.js';
import type { Platform } from '../../object/entry-name.js';
import { hashLeaf } from '../../object/hash-tree.js';
import { LeafDigests } from '../../object/leaf-digests.js';
import type { Manifest } from '../../object/manifest.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { ManifestReception } from '../../session/incoming/manifest-reception.js';
import type { ObjectLimits } from '../../session/object-limits.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import type { ExistingFiles, Offer } from '../../wire/offer.js';
import type { FetchedInfo } from './fetch-result.js';
import type { Source } from './source.js';

export interface FetchedObjectOptions {
  readonly crypto: SessionCrypto;
  readonly stores: ContentStores;
  /** The public key of the host that fetches. What it holds of an object does not depend on the source. */
  readonly ownKey: Uint8Array;
  readonly platform: Platform;
  readonly limits: ObjectLimits;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
}

/** What the host that fetches knows of an object, and has verified. */
export interface KnownObject {
  readonly manifest: Uint8Array;
  /** The concatenated digests of all blocks. */
  readonly leaves: Uint8Array;
}

export class FetchedObject {
  readonly label: string;
  readonly contentSizeBytes: number;
  readonly blockSizeBytes: number;
  readonly contentRoot: Uint8Array;
  readonly manifestDigest: string;
  readonly leaves: LeafDigests;
  /** Content blocks that the store does not hold, or of which it is not known whether they are right. */
  readonly missing = new RangeSet();
  /** What the store held when it was opened, until all of it is compared with the leaf digests. */
  private found: readonly HeldBlock[] = [];
  /** The number of groups of leaf digests with which it was compared. */
  private comparedCount = 0;
  private manifest: ManifestReception;
  private store: ContentStore | undefined;

  private constructor(
    private readonly options: FetchedObjectOptions,
    readonly offer: Offer,
    contentRoot: Uint8Array,
    leaves: LeafDigests,
  ) {
    this.label = offer.label;
    this.contentSizeBytes = offer.contentSizeBytes;
    this.blockSizeBytes = options.blockSizeBytes;
    this.contentRoot = contentRoot;
    this.manifestDigest = toHex(offer.manifestDigest);
    this.leaves = leaves;
    this.manifest = new ManifestReception(offer);
    if (leaves.blockCount > 0) this.missing.add(0, leaves.blockCount);
  }

  /** @returns undefined if no content of the offered size has the offered root */
  static create(options: FetchedObjectOptions, offer: Offer): FetchedObject | undefined {
    const { contentRoot, contentSizeBytes } = offer;
    if (contentRoot === undefined) return undefined;
    const blockCount = Math.ceil(contentSizeBytes / options.blockSizeBytes);
    const leaves = LeafDigests.create(options.crypto.hash, blockCount, contentRoot);
    return leaves === undefined
      ? undefined
      : new FetchedObject(options, offer, contentRoot, leaves);
  }

  get info(): FetchedInfo {
    const { label, manifestDigest, contentSizeBytes } = this;
    return { label, contentRoot: toHex(this.contentRoot), manifestDigest, contentSizeBytes };
  }

  /** Spares the sources what is known already. */
  know({ manifest, leaves }: KnownObject): void {
    this.manifest = new ManifestReception({ ...this.offer, manifest });
    this.leaves.fill(leaves);
  }

  // --- The manifest

  /** The encoded manifest, once it is checked. */
  get manifestBytes(): Uint8Array {
    return this.manifest.bytes;
  }

  /** Whether the offer contained the manifest. */
  get hasManifest(): boolean {
    return this.manifest.isInline;
  }

  /** Whether this source made the offer by which the object was chosen. */
  isFrom({ offer }: Pick<Source, 'offer'>): boolean {
    return offer === this.offer;
  }

  /** Whether a source has the manifest. Sources of the same content may have different ones. */
  isManifestOf({ offer }: Pick<Source, 'offer'>): boolean {
    return offer !== undefined && toHex(offer.manifestDigest) === this.manifestDigest;
  }

  takeManifestPart(offsetBytes: number, bytes: Uint8Array): void {
    this.manifest.take(offsetBytes, bytes);
  }

  /** Checks the complete manifest. */
  checkManifest(): ReturnType<ManifestReception['check']> {
    const { crypto, platform, limits } = this.options;
    return this.manifest.check(crypto, platform, limits);
  }

  // --- The store

  /** Finds out what the disk holds. Call `takeFound` with the result. */
  open(
    manifest: Manifest,
    handleFound: (found: FoundContent) => void,
    handleFailure: (error: unknown) => void,
  ): void {
    const { stores, ownKey, blockSizeBytes, existing } = this.options;
    const { listedAtMs } = this.offer;
    const request = {
      ...{ manifestDigest: this.manifestDigest, label: this.label, senderKey: ownKey },
      ...{ session: 0, manifest, blockSizeBytes, existing, deletion: 'none' as const, listedAtMs },
    };
    this.store = stores.create(request, handleFailure);
    this.store.open(handleFound);
  }

  takeFound({ held, kept }: Pick<FoundContent, 'held' | 'kept'>): void {
    this.found = [...held];
    for (const { start, end } of kept) this.missing.remove(start, end);
  }

  /** Whether leaf digests have become known that were not compared yet. */
  get isComparisonDue(): boolean {
    return this.comparedCount < this.leaves.arrivalCount;
  }

  /**
   * Compares what the store held with leaf digests that have become known, up to a limit. Blocks of another version of
   * the object are discarded.
   * @returns the blocks whose digests are known now; those among them that are not missing are verified
   */
  compareFound(): ReadonlyRangeSet {
    const known = new RangeSet();
    const end = Math.min(this.comparedCount + groupsAtOnce, this.leaves.arrivalCount);
    for (; this.comparedCount < end; this.comparedCount++) {
      const group = this.leaves.arrival(this.comparedCount);
      known.add(group.start, group.end);
      this.compareGroup(group);
    }
    if (this.leaves.isComplete && !this.isComparisonDue) this.found = [];
    return known;
  }

  private compareGroup({ start, end }: Range): void {
    const { found, missing } = this;
    for (let place = placeOf(found, start); place < found.length; place++) {
      const { index, leaf } = found[place] as HeldBlock;
      if (index >= end) return;
      if (isEqualBytes(leaf, this.leaves.leaf(index) as Uint8Array))
        missing.remove(index, index + 1);
      else this.store?.forget(index);
    }
  }

  /** Whether this is a block that can be verified, and is not held. */
  isWanted(block: number): boolean {
    return this.missing.has(block) && this.leaves.leaf(block) !== undefined;
  }

  /** Whether these are the bytes of the block. */
  isBlock(block: number, bytes: Uint8Array): boolean {
    const { contentSizeBytes, options } = this;
    const leftBytes = contentSizeBytes - block * options.blockSizeBytes;
    if (bytes.length !== Math.min(leftBytes, options.blockSizeBytes)) return false;
    const leaf = this.leaves.leaf(block);
    return leaf !== undefined && isEqualBytes(leaf, hashLeaf(this.options.crypto.hash, bytes));
  }

  /** These blocks are missing. @returns those that had arrived */
  lose(startBlock: number, endBlock: number): Range[] {
    const lost = [...this.missing.gaps(startBlock, endBlock)];
    this.missing.add(startBlock, endBlock);
    return lost;
  }

  /** Whether the last block is there. It shows that the size is right. */
  get holdsLastBlock(): boolean {
    return !this.missing.has(this.leaves.blockCount - 1);
  }

  write(block: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.missing.remove(block, block + 1);
    this.store?.write(block * this.options.blockSizeBytes, bytes, handleWritten);
  }

  /**
   * Compares what the store really holds with the digests, then makes it durable.
   * @param handleDamaged gets blocks that differ; they are missing again
   */
  finish(
    handleDamaged: (blocks: readonly number[]) => void,
    handleCompleted: (completion: Completion) => void,
  ): void {
    const leafOf = (block: number) => this.leaves.leaf(block) as Uint8Array;
    this.store?.verify(leafOf, (damaged) => {
      if (damaged.length === 0) {
        this.store?.complete([], handleCompleted);
        return;
      }
      for (const block of damaged) {
        this.missing.add(block, block + 1);
        this.store?.forget(block);
      }
      handleDamaged(damaged);
    });
  }

  /** Ends the use of the store. What it holds of an incomplete object stays for a later fetch. */
  end(isComplete: boolean): void {
    this.store?.end(isComplete);
    this.store = undefined;
  }
}

/** Groups of leaf digests to compare in one go. This takes less than a millisecond. */
const groupsAtOnce = 256;

/** The place of the first block, in ascending order, that has this number or a higher one. */
function placeOf(blocks: readonly HeldBlock[], number: number): number {
  let [low, high] = [0, blocks.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((blocks[middle] as HeldBlock).index < number) low = middle + 1;
    else high = middle;
  }
  return low;
}
