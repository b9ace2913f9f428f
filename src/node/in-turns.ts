/** Work that would keep the process from all else for too long: a part of it in each turn of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../base/steps.js';

/** @throws what a step throws; the signal's reason once that is aborted */
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

/** Names of a folder that the system reads in one turn. */
export const namesPerTurn = 1000;

/** Cheap work on so many items takes some milliseconds. */
const itemsPerTurn = 1000;

/**
 * Calls `work` for each item in their order.
 * @throws what it throws; the signal's reason once that is aborted
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
