/** Sorts up to a million items without blocking the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Number of items sorted or merged per turn of the event loop. Each turn takes a few milliseconds. */
const itemsPerTurn = 4096;

/** @returns the items in ascending order; equal items keep their order */
export async function sortInTurns<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
): Promise<T[]> {
  let runs: T[][] = [];
  for (let start = 0; start < items.length; start += itemsPerTurn) {
    if (start > 0) await nextTurn();
    runs.push(items.slice(start, start + itemsPerTurn).sort(compare));
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(await merge(runs[i] as T[], runs[i + 1] ?? [], compare));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Promise<T[]> {
  const merged: T[] = [];
  let [l, r] = [0, 0];
  while (l < left.length || r < right.length) {
    if (merged.length % itemsPerTurn === itemsPerTurn - 1) await nextTurn();
    const isLeft =
      r === right.length || (l < left.length && compare(left[l] as T, right[r] as T) <= 0);
    merged.push((isLeft ? left[l++] : right[r++]) as T);
  }
  return merged;
}
