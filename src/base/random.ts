/**
 * Seeded random streams. Each stream depends only on its name, so adding a receiver or link does
 * not change the numbers of another, and the same seed yields the same numbers on every machine.
 */
import seedrandom from 'seedrandom';

/** Draws the next number, uniform in [0, 1). */
export type Random = () => number;

/**
 * Creates the stream with this name, for example `createRandom(seed, 'link', 'a', 'b')`.
 * @example
 * ```ts
 * import { createRandom } from 'p2mp/core';
 *
 * const [a, b] = [createRandom('seed', 'link'), createRandom('seed', 'link')];
 * console.log(a() === b()); // true
 * ```
 */
export function createRandom(...names: readonly (string | number)[]): Random {
  // Alea is seeded from text, takes a few nanoseconds per draw, and uses only IEEE doubles.
  return seedrandom.alea(names.map((name) => JSON.stringify(name)).join('/'));
}
