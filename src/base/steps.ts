/**
 * Long-running work split into steps of a few milliseconds, so that the caller can do other work in
 * between.
 */

/** Each call of `next` runs one step. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Runs all remaining steps. */
export function finishSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}
