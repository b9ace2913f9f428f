/** Work that would keep the process from all else for too long: a part of it in each turn of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../session/steps.js';

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
