/** Works on many items, a few at a time. This keeps the system busy and bounds memory and file handles. */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Enough operations to keep Node's thread pool and the queue of a disk busy. */
export const diskConcurrency = 8;

/** Items per turn of the event loop. Work that never has to wait would otherwise block everything else. */
const itemsPerTurn = 64;

/**
 * Starts work on the items in order. After one item has failed, starts no more.
 * @throws the error of the failed item that comes first in this order, once no work is in progress
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
    // Once an item has failed, all items before it are done or in progress.
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
