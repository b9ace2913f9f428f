/** The cache of a simulated relay. Its content behaves like a disk; heads are durable at once. */
import { P2mpError } from '../../base/errors.js';
import type { ContentStore } from '../../object/content-store.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { CachedObject, ObjectCache, ObjectHead } from '../../roles/relay/object-cache.js';

const removalMs = 5;

export class MemoryCache implements ObjectCache {
  /** Whether the disk is full, so that nothing can be written. */
  isFull = false;
  /** The one that was used the longest time ago comes first. */
  private readonly heads = new Map<string, ObjectHead>();

  constructor(
    private readonly stores: MemoryStores,
    private readonly blockSizeBytes: number,
  ) {}

  get objects(): CachedObject[] {
    return [...this.heads].map(([id, head]) => {
      const blockCount = Math.ceil(head.contentSizeBytes / this.blockSizeBytes);
      const isWhole = this.stores.blocksOf(id)?.size === blockCount;
      return { ...head, id, manifestSizeBytes: head.manifest.length, isWhole };
    });
  }

  /** The content bytes that are there. */
  get heldBytes(): number {
    let sum = 0;
    for (const { id } of this.objects)
      for (const bytes of this.stores.blocksOf(id)?.values() ?? []) sum += bytes.length;
    return sum;
  }

  load(id: string, take: (head: ObjectHead | undefined) => void): void {
    this.stores.later(0, () => take(this.heads.get(id)));
  }

  save(id: string, head: ObjectHead): void {
    this.heads.set(id, head);
  }

  open(
    id: string,
    contentSizeBytes: number,
    head: ObjectHead | undefined,
    handleFailure: (error: unknown) => void,
  ): ContentStore {
    const object = { manifestDigest: id, label: id, senderKey: new Uint8Array(0) };
    if (head === undefined) this.stores.drop(object);
    const { blockSizeBytes } = this;
    const store = this.stores.create({
      ...object,
      ...{ session: 0, manifest: { entries: [], contentSizeBytes }, blockSizeBytes },
      ...{ existing: 'update', deletion: 'none', listedAtMs: 0 },
    });
    return this.limit(store, handleFailure);
  }

  /** Lets a store fail at its first write to a full disk, and write nothing from then on. */
  private limit(store: ContentStore, handleFailure: (error: unknown) => void): ContentStore {
    let hasFailed = false;
    return {
      open: (handleFound) => store.open(handleFound),
      read: (...args) => store.read(...args),
      check: (handleUnchanged) => store.check(handleUnchanged),
      write: (offsetBytes, bytes, handleWritten) => {
        if (!hasFailed && !this.isFull) {
          store.write(offsetBytes, bytes, handleWritten);
          return;
        }
        const error = new P2mpError('TARGET_FAILED', 'the disk is full');
        if (!hasFailed) this.stores.later(0, () => handleFailure(error));
        hasFailed = true;
        this.stores.later(0, handleWritten);
      },
      forget: (block) => store.forget(block),
      withdraw: (...args) => store.withdraw(...args),
      verify: (...args) => store.verify(...args),
      complete: (...args) => store.complete(...args),
      end: (isComplete) => store.end(isComplete),
    };
  }

  touch(id: string): void {
    const head = this.heads.get(id);
    if (head === undefined) return;
    this.heads.delete(id);
    this.heads.set(id, head);
  }

  remove(id: string, handleRemoved: (isGone: boolean) => void): void {
    this.stores.later(removalMs, () => {
      this.heads.delete(id);
      this.stores.drop({ manifestDigest: id, label: id, senderKey: new Uint8Array(0) });
      handleRemoved(true);
    });
  }
}
