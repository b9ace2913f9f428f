/**
 * Announces the blocks that a receiver keeps, before it receives content. Each part of the list is repeated until the
 * sender has noted it (SESSIONS 4.6).
 */
import type { TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import type { Kept, Noted } from '../../wire/kept-list.js';
import { maxRangesPerPart } from '../../wire/kept-list.js';
import { RetryTimer } from './retry-timer.js';

/** The most parts in flight. */
const concurrentParts = 8;

export class Announcement {
  readonly retry = new RetryTimer();
  private readonly parts: readonly Kept[];
  /** Numbers of the parts that the sender has not noted yet, in descending order. */
  private open: number[] = [];
  /** How many parts have been sent, counted from the end of `open`. */
  private sentCount = 0;

  constructor(kept: readonly Range[]) {
    const parts: Kept[] = [];
    for (let i = 0; i < kept.length; i += maxRangesPerPart) {
      const ranges = kept.slice(i, i + maxRangesPerPart);
      parts.push({ kind: 'kept', part: parts.length, ranges });
    }
    this.parts = parts;
    this.restart();
  }

  /** Whether the sender has noted everything. */
  get isOver(): boolean {
    return this.open.length === 0;
  }

  /** Announces everything again: the sender may have forgotten it. */
  restart(): void {
    // In descending order, because the next part to send is taken from the end.
    this.open = this.parts.map(({ part }) => part).reverse();
    this.sentCount = 0;
  }

  /** Yields the parts to send now, without those that are already in flight. */
  *next(nowMs: TimeMs): Generator<Kept> {
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
  handleNoted({ part }: Noted): boolean {
    const firstSent = this.open.length - this.sentCount;
    const place = this.open.indexOf(part, firstSent);
    if (place === -1) return false;
    this.open.splice(place, 1);
    this.sentCount--;
    this.retry.stop();
    return true;
  }

  private partAt(place: number): Kept {
    return this.parts[this.open[place] as number] as Kept;
  }
}
