/** Splits long-running work over turns of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../base/steps.js';

/**
 * Runs one step per turn of the event loop.
 * @returns the result of the last step
 * @throws the error of a step, or the signal's reason if the signal has aborted
 */
export async function runInTurns<Result>(
  steps: Steps<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  for (;;) {
    signal?.throwIfAborted();
    const { done, value } = steps.next();
    if (done === true) return value;
    await nextTurn();
  }
}

/** Number of directory entries to read per turn. */
export const namesPerTurn = 1000;

/** Number of cheap items to process per turn. Processing them takes a few milliseconds. */
const itemsPerTurn = 1000;

/**
 * Calls `work` for each item in order.
 * @throws the error of `work`, or the signal's reason if the signal has aborted
 */
export async function forEachInTurns<T>(
  items: readonly T[],
  work: (item: T, index: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  for (let i = 0; i < items.length; i++) {
    if (i % itemsPerTurn === itemsPerTurn - 1) {
      await nextTurn();
      signal?.throwIfAborted();
    }
    work(items[i] as T, i);
  }
}
