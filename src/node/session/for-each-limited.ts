/** Work on many things, a few at a time: the disk is busy, and neither memory nor handles grow. */

/** What Node's thread pool and a disk's queue are kept busy by. */
export const diskConcurrency = 8;

/**
 * Starts with the first; after one has failed, no more are started.
 * @throws what the first one that failed threw, once those under way have ended
 */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const failures: unknown[] = [];
  const runLane = async () => {
    while (failures.length === 0) {
      const { done, value } = iterator.next();
      if (done) return;
      await work(value).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: limit }, runLane));
  if (failures.length > 0) throw failures[0];
}
