/** Work on many things, a few at a time: the system is kept busy, and neither memory nor handles grow. */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** What Node's thread pool and a disk's queue are kept busy by. */
export const diskConcurrency = 8;

/** Work that turns out to have nothing to wait for must not keep the process from all else. */
const itemsPerTurn = 64;

/**
 * Starts them in their order; after one has failed, no more are started.
 * @throws what failed for the first of them in their order, once no work is left under way
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
    // What comes before the one that failed is done or under way.
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

/** As `forEachLimited`. @returns what came of each, in the order of the items */
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
