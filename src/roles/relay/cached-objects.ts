/** The objects that the cache of a relay holds, and the room that they take. */
import { type AskedObject, compareNames } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Reservation } from './cache-ledger.js';
import { CacheLedger } from './cache-ledger.js';
import type { CachedObject, ObjectCache } from './object-cache.js';
import { roomOf } from './object-cache.js';

/** How many objects a cache holds. */
export interface CacheCounts {
  readonly objectCount: number;
  /** Those of them that it holds in part. */
  readonly partCount: number;
}

export class CachedObjects {
  private readonly objects = new Map<string, CachedObject>();
  private readonly ledger: CacheLedger;

  constructor(
    private readonly cache: ObjectCache,
    limitBytes: number,
    private readonly blockSizeBytes: number,
  ) {
    this.ledger = new CacheLedger(limitBytes);
    for (const object of cache.objects) {
      this.objects.set(object.id, object);
      this.ledger.add(object.id, this.roomOf(object));
    }
    this.ledger.trim();
  }

  /** What the cache takes at most. */
  get sizeBytes(): number {
    return this.ledger.sizeBytes;
  }

  has(id: string): boolean {
    return this.ledger.has(id);
  }

  /** The objects that are there as a whole, by name. */
  list(): CachedObject[] {
    return [...this.objects.values()]
      .filter(({ id, isWhole }) => isWhole && this.has(id))
      .toSorted((a, b) => compareNames(a.name, b.name));
  }

  /** How many objects take room, also those that are about to leave, and how many of them are there in part. */
  get counts(): CacheCounts {
    let partCount = 0;
    for (const { isWhole } of this.objects.values()) if (!isWhole) partCount++;
    return { objectCount: this.objects.size, partCount };
  }

  /** The object with the content that is asked for, if all of it is there. */
  findWhole(what: AskedObject): CachedObject | undefined {
    return this.list().findLast((object) => isMatch(what, object));
  }

  /** Whether an object that is not there yet would get room now. */
  hasRoomFor(object: CachedObject): boolean {
    return this.ledger.hasRoomFor(this.roomOf(object));
  }

  /** Reserves room for an object that is not there yet. It is in use from then on, unless that is refused. */
  reserve(object: CachedObject): Reservation {
    const reservation = this.ledger.reserve(object.id, this.roomOf(object));
    if (reservation !== 'refused') this.objects.set(object.id, object);
    return reservation;
  }

  setWhole(id: string, isWhole: boolean): void {
    const object = this.objects.get(id);
    if (object !== undefined) this.objects.set(id, { ...object, isWhole });
  }

  use(id: string): void {
    this.ledger.use(id);
    this.cache.touch(id);
  }

  release(id: string): void {
    this.ledger.release(id);
  }

  /** An object is of no use. It must not be in use. */
  drop(id: string): void {
    this.ledger.drop(id);
  }

  pollGranted(): string | undefined {
    return this.ledger.pollGranted();
  }

  /** The next object to remove. Call `handleRemoved` when it is gone. */
  pollRemoval(): CachedObject | undefined {
    const id = this.ledger.pollRemoval();
    return id === undefined ? undefined : this.objects.get(id);
  }

  handleRemoved(id: string): void {
    this.objects.delete(id);
    this.ledger.handleRemoved(id);
  }

  /** An object could not be removed. */
  handleStuck(id: string): void {
    this.ledger.handleStuck(id);
  }

  /** The next object whose reservation had to wait, and for which there is no room after all. */
  pollRefused(): string | undefined {
    const id = this.ledger.pollRefused();
    if (id !== undefined) this.objects.delete(id);
    return id;
  }

  private roomOf({ contentSizeBytes, manifestSizeBytes }: CachedObject): number {
    const blockCount = Math.ceil(contentSizeBytes / this.blockSizeBytes);
    return roomOf(contentSizeBytes, manifestSizeBytes, blockCount);
  }
}

/** Whether an object is what is asked for. */
export function isMatch(
  { name, root, manifestDigest }: AskedObject,
  object: CachedObject,
): boolean {
  return (
    (name === '' || name === object.name) &&
    (root === undefined || isEqualBytes(root, object.contentRoot)) &&
    (manifestDigest === undefined || isEqualBytes(manifestDigest, object.manifestDigest))
  );
}
