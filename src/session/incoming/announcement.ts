/**
 * What a receiver announces before it receives content: the blocks that it keeps, and the entries that it would delete.
 * Each part of these lists is repeated until the sender has noted it (SESSIONS 4.6).
 */
import type { TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import type { Steps } from '../../base/steps.js';
import { foldersAbove } from '../../object/entry-name.js';
import { isLongerUtf8 } from '../../wire/byte-codec.js';
import type { Extra, Extras, Kept, Noted } from '../../wire/lists.js';
import { maxNameBytesPerPart, maxNamesPerPart, maxRangesPerPart } from '../../wire/lists.js';
import { RetryTimer } from './retry-timer.js';

/** The most parts in flight. */
const concurrentParts = 8;

/** Parts to pack in one step. */
const partsPerStep = 64;

export class Announcement {
  readonly retry = new RetryTimer();
  private readonly spared = new Set<Extra>();
  /** Folders that stay because an entry in them was spared. */
  private readonly keptFolders = new Set<string>();
  /** Numbers of the parts that the sender has not noted yet, in descending order. */
  private open: number[] = [];
  /** How many parts have been sent, counted from the end of `open`. */
  private sentCount = 0;

  private constructor(private readonly parts: readonly (Kept | Extras)[]) {
    this.restart();
  }

  /**
   * @param extras the content of a folder before the folder; entries whose names fit no datagram are left out, and so
   *   are never deleted
   */
  static *create(kept: readonly Range[], extras: Iterable<Extra>): Steps<Announcement> {
    const parts: (Kept | Extras)[] = [];
    for (let i = 0; i < kept.length; i += maxRangesPerPart) {
      const ranges = kept.slice(i, i + maxRangesPerPart);
      parts.push({ kind: 'kept', part: parts.length, ranges });
    }
    for (const some of packed(extras)) {
      parts.push({ kind: 'extras', part: parts.length, extras: some });
      if (parts.length % partsPerStep === 0) yield;
    }
    return new Announcement(parts);
  }

  /** Whether the sender has noted everything. */
  get isOver(): boolean {
    return this.open.length === 0;
  }

  /** Sends everything again: the sender may have forgotten it. */
  restart(): void {
    this.open = this.parts.map(({ part }) => part).reverse();
    this.sentCount = 0;
  }

  /** Yields the parts to send now, without those that are already in flight. */
  *next(nowMs: TimeMs): Generator<Kept | Extras> {
    while (this.sentCount < Math.min(concurrentParts, this.open.length)) {
      this.sentCount++;
      yield this.partAt(this.open.length - this.sentCount);
    }
    if (!this.isOver) this.retry.handleSent(nowMs);
  }

  /** Sends the parts in flight again. */
  repeat(): void {
    this.sentCount = 0;
  }

  /** @returns whether this part was awaited */
  handleNoted({ part, spared }: Noted): boolean {
    const firstSent = this.open.length - this.sentCount;
    const place = this.open.indexOf(part, firstSent);
    const message = this.parts[part];
    if (place === -1 || message === undefined) return false;
    this.open.splice(place, 1);
    this.sentCount--;
    this.retry.stop();
    if (message.kind === 'kept') return true;
    for (const index of spared) {
      const extra = message.extras[index];
      if (extra !== undefined) this.spare(extra);
    }
    return true;
  }

  private spare(extra: Extra): void {
    this.spared.add(extra);
    for (const folder of foldersAbove(extra.name)) this.keptFolders.add(folder);
  }

  /** Yields the entries to delete, in the order of the list: those that were announced and that can go. */
  *doomed(): Generator<Extra> {
    for (const message of this.parts) {
      if (message.kind !== 'extras') continue;
      for (const extra of message.extras) {
        const isKept =
          this.spared.has(extra) || (extra.isFolder && this.keptFolders.has(extra.name));
        if (!isKept) yield extra;
      }
    }
  }

  private partAt(place: number): Kept | Extras {
    return this.parts[this.open[place] as number] as Kept | Extras;
  }
}

/** Divides names into parts that fit one datagram each. */
function* packed(extras: Iterable<Extra>): Generator<Extra[]> {
  let some: Extra[] = [];
  let mostBytes = 0;
  for (const extra of extras) {
    if (isLongerUtf8(extra.name, maxNameBytesPerPart)) continue;
    // Maximum size of the name in UTF-8, plus the bytes for its length and its kind.
    const nameBytes = Math.min(3 * extra.name.length, maxNameBytesPerPart) + 4;
    if (some.length === maxNamesPerPart || mostBytes + nameBytes > maxNameBytesPerPart) {
      if (some.length > 0) yield some;
      some = [];
      mostBytes = 0;
    }
    some.push(extra);
    mostBytes += nameBytes;
  }
  if (some.length > 0) yield some;
}
