/** The cache of a simulated relay. Its content behaves like a disk; heads are durable at once. */
import type { ContentStore } from '../../object/content-store.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { CachedObject, ObjectCache, ObjectHead } from '../../roles/relay/object-cache.js';

const removalMs = 5;

export class MemoryCache implements ObjectCache {
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

  open(id: string, contentSizeBytes: number, head: ObjectHead | undefined): ContentStore {
    const object = { manifestDigest: id, label: id, senderKey: new Uint8Array(0) };
    if (head === undefined) this.stores.drop(object);
    const { blockSizeBytes } = this;
    return this.stores.create({
      ...object,
      ...{ session: 0, manifest: { entries: [], contentSizeBytes }, blockSizeBytes },
      ...{ existing: 'update', deletion: 'none', listedAtMs: 0 },
    });
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
