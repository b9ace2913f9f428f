/**
 * The index of one served path: its manifest, its leaf digests and its content root, which belong to one state of its
 * files. `refresh` finds out whether the files are still in that state, and indexes them again if not.
 */
import { resolve } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import type { DigestTree } from '../../../object/digest-tree.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import { digestSizeBytes, standardBlockSizeBytes } from '../../../wire/sizes.js';
import { fileError } from '../../system-error.js';
import { hashLeaves, treeOf } from './hash-leaves.js';
import { digestInTurns } from './index-file.js';
import type { IndexFolder } from './index-folder.js';
import { KnownBlocks, type LeafIndex } from './known-blocks.js';
import { ListedPath } from './listed-path.js';

/** How often files that change while they are hashed are hashed again at once. */
const attempts = 3;

/** One state of a served path. */
export interface IndexedObject extends LeafIndex {
  /** SHA-256 of the manifest. */
  readonly manifestDigest: Uint8Array;
  /** Reads the content. A read fails with SOURCE_CHANGED once a file is no longer the one that was indexed. */
  readonly listed: ListedPath;
  /** The digests of all blocks. */
  readonly digestTree: DigestTree;
  readonly contentRoot: Uint8Array;
  /** How much of the content was read for this index. */
  readonly hashedBytes: number;
}

export interface IndexOptions {
  /** Where the index outlives the process; by default, nowhere. */
  readonly folder?: IndexFolder;
  readonly signal?: AbortSignal;
  /** Runs the work of hashing, for example after that of other paths. By default, it runs at once. */
  readonly schedule?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Called as soon as it is known that there is work to do, and then in each turn of it. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Called if the index could not be saved. It is used nevertheless. */
  readonly onUnsaved?: (error: P2mpError) => void;
}

export class ObjectIndex {
  /** Absolute. */
  readonly path: string;
  private indexed: IndexedObject | undefined;
  /** Digests of an earlier state, some of which may still be right. */
  private earlier: LeafIndex | undefined;
  private usesSaved = true;

  constructor(
    path: string,
    private readonly options: IndexOptions = {},
  ) {
    this.path = resolve(path);
  }

  /** The state as of the last `refresh`. */
  get current(): IndexedObject | undefined {
    return this.indexed;
  }

  /**
   * The next `refresh` lists the files again, even if they look as before. Its object is another one.
   * @param isWrong whether content differs from its digest although its file looks as before; then all is hashed again
   */
  forget(isWrong: boolean): void {
    this.earlier = isWrong ? undefined : (this.indexed ?? this.earlier);
    this.usesSaved = !isWrong;
    this.indexed = undefined;
  }

  /**
   * Indexes the path, unless its files are as they were. Only one call at a time.
   * @returns the same object as before if nothing has changed; the caller closes the `listed` of objects that it no
   *   longer uses
   * @throws P2mpError SOURCE_UNREADABLE; SOURCE_CHANGED if files change all the time; the signal's reason after it aborts
   */
  async refresh(): Promise<IndexedObject> {
    /** What may have digests that are still right; the newest first. */
    const newest = this.indexed ?? this.earlier;
    const earlier: LeafIndex[] = newest === undefined ? [] : [newest];
    for (let attempt = 1; ; attempt++) {
      try {
        const listed = await ListedPath.open(this.path, this.options.signal);
        const { indexed } = this;
        if (indexed?.listed.isSameAs(listed) === true) {
          await listed.close();
          if (this.indexed === indexed) return indexed;
          continue;
        }
        const { schedule = (work) => work(), onProgress } = this.options;
        onProgress?.(0, listed.source.manifest.contentSizeBytes);
        this.indexed = await schedule(() => this.index(listed, earlier));
        return this.indexed;
      } catch (error) {
        this.options.signal?.throwIfAborted();
        const isChange = error instanceof P2mpError && error.code === 'SOURCE_CHANGED';
        if (!isChange || attempt === attempts) throw error;
      }
    }
  }

  /** @param earlier gets the digests of this attempt in front if it fails */
  private async index(listed: ListedPath, earlier: LeafIndex[]): Promise<IndexedObject> {
    const { signal, onProgress } = this.options;
    const { manifestBytes, identities } = listed;
    const { contentSizeBytes } = listed.source.manifest;
    const leaves = new Uint8Array(
      Math.ceil(contentSizeBytes / standardBlockSizeBytes) * digestSizeBytes,
    );
    const partOf = (count: number): LeafIndex => {
      return { manifestBytes, identities, leaves: leaves.subarray(0, count * digestSizeBytes) };
    };
    let doneCount = 0;
    try {
      if (earlier.length === 0) {
        const saved = this.usesSaved ? await this.options.folder?.load(this.path) : undefined;
        if (saved !== undefined) earlier.push(saved);
      }
      const known: KnownBlocks[] = [];
      for (const each of earlier) {
        const found = await KnownBlocks.find(listed, each);
        if (found !== undefined) known.push(found);
      }
      const hashedBytes = await hashLeaves(listed, leaves, {
        ...{ known, signal },
        onProgress: (count) => {
          doneCount = count;
          const doneBytes = Math.min(count * standardBlockSizeBytes, contentSizeBytes);
          onProgress?.(doneBytes, contentSizeBytes);
        },
        saveSome: (count) => this.save(listed, partOf(count)),
      });
      // What was read was checked as it was read; what is known from earlier was not.
      await listed.verify(signal);
      const whole = partOf(doneCount);
      if (!earlier.some((each) => isSameIndex(each, whole))) await this.save(listed, whole);
      const manifestDigest = await digestInTurns(manifestBytes);
      const digestTree = await treeOf(leaves, signal);
      const contentRoot = digestTree.root();
      this.usesSaved = true;
      return { listed, ...whole, manifestDigest, digestTree, contentRoot, hashedBytes };
    } catch (error) {
      // Files that changed meanwhile have other identities the next time.
      earlier.splice(0, earlier.length - 1, partOf(doneCount));
      await listed.close();
      throw error;
    }
  }

  private async save({ source }: ListedPath, index: LeafIndex): Promise<void> {
    const { folder, onUnsaved } = this.options;
    try {
      const identities = index.identities.settled(source.listedAtMs);
      await folder?.save(this.path, { ...index, identities });
    } catch (error) {
      onUnsaved?.(fileError('TARGET_UNWRITABLE', this.path, error));
    }
  }
}

function isSameIndex(one: LeafIndex, other: LeafIndex): boolean {
  return (
    one.leaves.length === other.leaves.length &&
    isEqualBytes(one.manifestBytes, other.manifestBytes) &&
    isEqualBytes(one.identities.bytes, other.identities.bytes)
  );
}
