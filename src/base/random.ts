/**
 * Seeded random streams. A stream depends only on its name, so adding a receiver or a link does not change
 * the numbers of the other streams. The same seed yields the same numbers on every machine.
 */
import seedrandom from 'seedrandom';

/** Draws the next number, uniform in [0, 1). */
export type Random = () => number;

/**
 * Creates the stream whose name consists of these parts, for example `createRandom(seed, 'link', 'a', 'b')`.
 * @example
 * ```ts
 * import { createRandom } from 'p2mp/core';
 *
 * const [a, b] = [createRandom('seed', 'link'), createRandom('seed', 'link')];
 * console.log(a() === b()); // true
 * ```
 */
export function createRandom(...names: readonly (string | number)[]): Random {
  // The Alea generator accepts text as a seed, takes a few nanoseconds per draw, and uses only IEEE doubles.
  return seedrandom.alea(names.map((name) => JSON.stringify(name)).join('/'));
}
