/** What a test does in each turn of the event loop while something runs. It ends with it, however it ends. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Calls `look` once in each turn until the work has ended.
 * @throws the error of the work
 */
export async function lookDuring<T>(work: Promise<T>, look: () => void): Promise<T> {
  await turnsUntil(work, () => {
    look();
    return false;
  });
  return work;
}

/**
 * Resolves in the first turn in which `isTime`.
 * @throws Error if the work has ended before
 */
export async function momentDuring(work: Promise<unknown>, isTime: () => boolean): Promise<void> {
  if (!(await turnsUntil(work, isTime))) throw new Error(`ended before: ${await work}`);
}

/** @returns whether `isTime` was reached */
async function turnsUntil(work: Promise<unknown>, isTime: () => boolean): Promise<boolean> {
  let hasEnded = false;
  const end = () => {
    hasEnded = true;
  };
  work.then(end, end);
  while (!isTime()) {
    if (hasEnded) return false;
    await nextTurn();
  }
  return true;
}
