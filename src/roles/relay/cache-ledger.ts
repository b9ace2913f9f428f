/**
 * Keeps account of the room in a cache: room is reserved before anything is written, so that the limit is never
 * exceeded, and made by removing the objects that were not used for the longest time. What is in use is not removed.
 */
import { assert } from '../../base/assert.js';
import { Queue } from '../../base/queue.js';

interface Entry {
  sizeBytes: number;
  /** How many use it now. */
  users: number;
  isLeaving: boolean;
  /** Whether it could not be removed, so that its room stays taken. */
  isStuck: boolean;
}

/** The answer to a reservation. */
export type Reservation =
  | 'granted'
  /** `pollGranted` will return the object once others are removed. */
  | 'waiting'
  /** There is no room, now or ever. */
  | 'refused';

export class CacheLedger {
  /** The one that was used the longest time ago comes first. */
  private readonly entries = new Map<string, Entry>();
  /** Reservations that wait for removals, in their order. */
  private readonly waiting = new Map<string, number>();
  private readonly removals = new Queue<string>();
  private readonly granted = new Queue<string>();
  private readonly refused = new Queue<string>();

  constructor(readonly limitBytes: number) {}

  /** What the cache takes at most, now and until something is removed. */
  get sizeBytes(): number {
    let sum = 0;
    for (const { sizeBytes } of this.entries.values()) sum += sizeBytes;
    return sum;
  }

  has(id: string): boolean {
    return this.entries.get(id)?.isLeaving === false;
  }

  /** Adds an object that the cache holds at the start. Call it for the one that was used the longest time ago first. */
  add(id: string, sizeBytes: number): void {
    assert(!this.entries.has(id), 'an object is added once');
    this.entries.set(id, { sizeBytes, users: 0, isLeaving: false, isStuck: false });
  }

  /** Makes the objects leave for which the limit leaves no room, after all are added. */
  trim(): void {
    for (const id of this.choose(this.sizeBytes - this.limitBytes) ?? []) this.makeLeave(id);
  }

  /** Reserves room for an object that the cache does not hold. It is in use from then on. */
  reserve(id: string, sizeBytes: number): Reservation {
    this.removeStuck();
    if (this.entries.has(id) || this.waiting.has(id)) return 'refused';
    const chosen = this.chooseFor(sizeBytes);
    if (chosen === undefined) return 'refused';
    for (const each of chosen) this.makeLeave(each);
    this.waiting.set(id, sizeBytes);
    this.grant();
    if (this.waiting.has(id)) return 'waiting';
    assert(this.granted.shift() === id, 'what is granted at once is not reported');
    return 'granted';
  }

  /** Whether there is room now for an object of this size, or would be without what is not in use. */
  hasRoomFor(sizeBytes: number): boolean {
    return this.chooseFor(sizeBytes) !== undefined;
  }

  use(id: string): void {
    const entry = this.entries.get(id);
    assert(entry?.isLeaving === false, 'an object that is held');
    entry.users++;
    this.makeLatest(id, entry);
  }

  release(id: string): void {
    const entry = this.entries.get(id);
    assert(entry !== undefined && entry.users > 0, 'an object that is in use');
    entry.users--;
    this.makeLatest(id, entry);
  }

  /** An object is of no use any more. It must not be in use. */
  drop(id: string): void {
    const entry = this.entries.get(id);
    assert(entry?.users === 0, 'an object that is not in use');
    if (!entry.isLeaving) this.makeLeave(id);
  }

  /** An object that had to leave is gone, or `handleStuck`. */
  handleRemoved(id: string): void {
    assert(this.entries.get(id)?.isLeaving === true, 'an object that was to leave');
    this.entries.delete(id);
    this.grant();
  }

  /** An object that had to leave could not be removed. That is tried again when room is needed the next time. */
  handleStuck(id: string): void {
    const entry = this.entries.get(id);
    assert(entry?.isLeaving === true, 'an object that was to leave');
    entry.isStuck = true;
    this.refuse();
  }

  private removeStuck(): void {
    for (const [id, entry] of this.entries) {
      if (!entry.isStuck) continue;
      entry.isStuck = false;
      this.removals.push(id);
    }
  }

  /** Refuses what waits for room that nothing will free. */
  private refuse(): void {
    let freeBytes = this.limitBytes;
    for (const { sizeBytes, isLeaving, isStuck } of this.entries.values())
      if (!isLeaving || isStuck) freeBytes -= sizeBytes;
    for (const [id, sizeBytes] of [...this.waiting]) {
      if (sizeBytes <= freeBytes) {
        freeBytes -= sizeBytes;
      } else {
        this.waiting.delete(id);
        this.refused.push(id);
      }
    }
    this.grant();
  }

  /** The next object to remove. Call `handleRemoved` when it is gone. */
  pollRemoval(): string | undefined {
    return this.removals.shift();
  }

  /** The next object whose reservation had to wait, and is granted now. */
  pollGranted(): string | undefined {
    return this.granted.shift();
  }

  /** The next object whose reservation had to wait, and for which there is no room after all. */
  pollRefused(): string | undefined {
    return this.refused.shift();
  }

  private makeLatest(id: string, entry: Entry): void {
    this.entries.delete(id);
    this.entries.set(id, entry);
  }

  private makeLeave(id: string): void {
    const entry = this.entries.get(id);
    assert(entry !== undefined, 'an object that is held');
    entry.isLeaving = true;
    this.removals.push(id);
  }

  /** @returns which objects to remove for one of this size; undefined if that is not enough */
  private chooseFor(sizeBytes: number): string[] | undefined {
    let stayingBytes = sizeBytes;
    for (const entry of this.entries.values())
      if (!entry.isLeaving) stayingBytes += entry.sizeBytes;
    for (const waitingBytes of this.waiting.values()) stayingBytes += waitingBytes;
    return this.choose(stayingBytes - this.limitBytes);
  }

  /** @returns which objects to remove so that so many bytes become free; undefined if there are not enough */
  private choose(neededBytes: number): string[] | undefined {
    const chosen: string[] = [];
    let leftBytes = neededBytes;
    for (const [id, { sizeBytes, users, isLeaving }] of this.entries) {
      if (leftBytes <= 0) break;
      if (users > 0 || isLeaving) continue;
      chosen.push(id);
      leftBytes -= sizeBytes;
    }
    return leftBytes > 0 ? undefined : chosen;
  }

  private grant(): void {
    for (const [id, sizeBytes] of this.waiting) {
      if (this.sizeBytes + sizeBytes > this.limitBytes) return;
      this.waiting.delete(id);
      this.entries.set(id, { sizeBytes, users: 1, isLeaving: false, isStuck: false });
      this.granted.push(id);
    }
  }
}
