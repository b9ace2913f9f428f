/** Pending actions ordered by virtual time; actions at the same time run in insertion order. */
import type { TimeMs } from '../base/machine.js';

interface Entry {
  readonly atMs: TimeMs;
  readonly order: number;
  readonly action: () => void;
}

/** A priority queue of actions, implemented as a binary heap. */
export class EventQueue {
  private readonly heap: Entry[] = [];
  private nextOrder = 0;

  get length(): number {
    return this.heap.length;
  }

  get nextAtMs(): TimeMs | undefined {
    return this.heap[0]?.atMs;
  }

  push(atMs: TimeMs, action: () => void): void {
    const { heap } = this;
    const entry = { atMs, order: this.nextOrder++, action };
    let child = heap.length;
    heap.push(entry);
    while (child > 0) {
      const parent = (child - 1) >>> 1;
      const above = heap[parent] as Entry;
      if (!isBefore(entry, above)) break;
      heap[child] = above;
      child = parent;
    }
    heap[child] = entry;
  }

  pop(): (() => void) | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return undefined;
    if (heap.length > 0) this.sink(last);
    return first.action;
  }

  /** Inserts `entry` at the root and sifts it down. */
  private sink(entry: Entry): void {
    const { heap } = this;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Entry, heap[child] as Entry)) {
        child++;
      }
      const below = heap[child] as Entry;
      if (!isBefore(below, entry)) break;
      heap[parent] = below;
      parent = child;
    }
    heap[parent] = entry;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
