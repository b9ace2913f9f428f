/** Which of many items is due next, without asking each of them after each event. */
import { assert } from '../assert.js';
import type { TimeMs } from '../machine.js';

export interface Timed {
  /** When it is due; Infinity if it is not. */
  pollTimeout(): TimeMs;
  /** Whether others can change when it is due. It is then asked each time. */
  readonly isDueByOthers?: boolean;
}

interface Entry<Item> {
  readonly item: Item;
  /** The number of items that were added before it. */
  readonly order: number;
  atMs: TimeMs;
  /** Its place in the heap. */
  place: number;
  isTouched: boolean;
}

/**
 * A binary heap of items, ordered by their deadlines. Code that may change an item's deadline calls `touch`; only touched
 * items are asked for their deadlines again. Do not read `earliestMs` while `due` items are still being handled: their
 * mark is taken away then.
 */
export class Deadlines<Item extends Timed> {
  private readonly entries = new Map<Item, Entry<Item>>();
  private readonly heap: Entry<Item>[] = [];
  private touched: Entry<Item>[] = [];
  private nextOrder = 0;

  add(item: Item): void {
    assert(!this.entries.has(item), 'an item is added once');
    const place = this.heap.length;
    const entry = { item, order: this.nextOrder++, atMs: Infinity, place, isTouched: false };
    this.entries.set(item, entry);
    this.heap.push(entry);
    this.touch(item);
  }

  /** The item may be due at another time from now on. */
  touch(item: Item): void {
    const entry = this.entries.get(item);
    if (entry === undefined || entry.isTouched) return;
    entry.isTouched = true;
    this.touched.push(entry);
  }

  delete(item: Item): void {
    const entry = this.entries.get(item);
    if (entry === undefined) return;
    this.entries.delete(item);
    const last = this.heap.pop();
    if (last !== undefined && last !== entry) this.move(last, entry.place);
  }

  /** When the first item is due; Infinity if none is. */
  get earliestMs(): TimeMs {
    this.askTouched();
    return this.heap[0]?.atMs ?? Infinity;
  }

  /** The items that are due, in the order in which they were added. They count as touched. */
  due(nowMs: TimeMs): Item[] {
    this.askTouched();
    const due: Entry<Item>[] = [];
    this.collect(0, nowMs, due);
    due.sort((a, b) => a.order - b.order);
    return due.map(({ item }) => {
      this.touch(item);
      return item;
    });
  }

  private collect(place: number, nowMs: TimeMs, due: Entry<Item>[]): void {
    const entry = this.heap[place];
    if (entry === undefined || entry.atMs > nowMs) return;
    due.push(entry);
    this.collect(2 * place + 1, nowMs, due);
    this.collect(2 * place + 2, nowMs, due);
  }

  private askTouched(): void {
    if (this.touched.length === 0) return;
    const { touched } = this;
    this.touched = [];
    for (const entry of touched) {
      entry.isTouched = false;
      const { item } = entry;
      if (this.entries.get(item) !== entry) continue;
      entry.atMs = item.pollTimeout();
      this.move(entry, entry.place);
      if (item.isDueByOthers === true) this.touch(item);
    }
  }

  /** Puts an entry at this place, or where it belongs above or below. */
  private move(entry: Entry<Item>, from: number): void {
    const { heap } = this;
    let place = from;
    for (let above = parentOf(place); place > 0; above = parentOf(place)) {
      const parent = heap[above] as Entry<Item>;
      if (parent.atMs <= entry.atMs) break;
      this.put(parent, place);
      place = above;
    }
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      const child = right !== undefined && right.atMs < (left?.atMs ?? Infinity) ? right : left;
      if (child === undefined || child.atMs >= entry.atMs) break;
      const below = child.place;
      this.put(child, place);
      place = below;
    }
    this.put(entry, place);
  }

  private put(entry: Entry<Item>, place: number): void {
    this.heap[place] = entry;
    entry.place = place;
  }
}

function parentOf(place: number): number {
  return (place - 1) >>> 1;
}
