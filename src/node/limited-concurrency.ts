/**
 * Works on many items, but only on a few of them at the same time. This keeps the system busy and limits
 * memory and open files.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Number of concurrent disk operations: enough to keep the thread pool of Node and the queue of a disk busy.
 */
export const diskConcurrency = 8;

/**
 * Maximum number of items per turn of the event loop. Work that never waits for I/O would otherwise block the
 * process.
 */
const itemsPerTurn = 64;

/**
 * Calls `work` for the items in order. After an item has failed, starts no more items and waits for those in
 * progress.
 * @throws the error of the failed item; if several items failed, the error of the first of them in item order
 */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let startedCount = 0;
  let isExhausted = false;
  let failedIndex = Infinity;
  let failure: unknown;
  const runLane = async () => {
    // Stop after a failure. All items before the failed item are already done or in progress.
    for (let count = 1; failedIndex === Infinity; count++) {
      if (count % itemsPerTurn === 0) {
        await nextTurn();
        continue;
      }
      const { done, value } = iterator.next();
      if (done) {
        isExhausted = true;
        return;
      }
      const index = startedCount++;
      try {
        await work(value, index);
      } catch (error) {
        if (index > failedIndex) continue;
        failedIndex = index;
        failure = error;
      }
    }
  };
  const lanes: Promise<void>[] = [];
  while (lanes.length < limit && !isExhausted) lanes.push(runLane());
  await Promise.all(lanes);
  if (failedIndex < Infinity) throw failure;
}

/** Like `forEachLimited`. @returns the results, in the order of the items */
export async function mapLimited<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  await forEachLimited(items, limit, async (item, index) => {
    results[index] = await work(item);
  });
  return results;
}
