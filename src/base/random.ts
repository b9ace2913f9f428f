/**
 * Random streams. Each is named by its seed alone, so that one more receiver or link takes no
 * number from another's stream, and the same seed gives the same numbers on every machine.
 */
import seedrandom from 'seedrandom';

/** Draws the next number, uniform in [0, 1). */
export type Random = () => number;

/** The stream of this name, for example `createRandom(seed, 'link', 'a', 'b')`. */
export function createRandom(...names: readonly (string | number)[]): Random {
  // Alea: seeded from text, a few nanoseconds a draw, and nothing but IEEE doubles inside.
  return seedrandom.alea(names.map((name) => JSON.stringify(name)).join('/'));
}
