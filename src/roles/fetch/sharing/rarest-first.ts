/** Chooses which blocks to ask of a source next: those that somebody waits for, then those that fewest sources hold. */
import type { Range, ReadonlyRangeSet } from '../../../base/range-set.js';
import type { FetchSource } from '../fetch-source.js';

/**
 * @param sources all sources
 * @param urgent blocks that somebody waits for
 * @param firstBlock where to begin; after the last block follows the first one
 * @returns blocks of the pool that the source holds; undefined if there are none
 */
export function nextRun(
  source: FetchSource,
  sources: readonly FetchSource[],
  urgent: ReadonlyRangeSet,
  firstBlock: number,
): Range | undefined {
  const awaited = source.firstOf(urgent);
  if (awaited !== undefined) return { start: awaited, end: source.runEnd(awaited) };
  // If one source holds everything, what another source holds in part is there twice.
  const isWhole = source.held === undefined;
  const parts = isWhole ? sources.flatMap(({ held }) => (held === undefined ? [] : [held])) : [];
  const froms = firstBlock === 0 ? [0] : [firstBlock, 0];
  if (parts.length > 0)
    for (const from of froms) {
      const run = nextRare(source, parts, from);
      if (run !== undefined) return run;
    }
  for (const from of froms) {
    const start = source.nextInPool(from);
    if (start !== undefined) return { start, end: source.runEnd(start) };
  }
  return undefined;
}

/** The first run from this block on that is in none of these parts. */
function nextRare(
  source: FetchSource,
  parts: readonly ReadonlyRangeSet[],
  fromBlock: number,
): Range | undefined {
  let start = source.nextInPool(fromBlock);
  while (start !== undefined) {
    const block = start;
    const end = Math.max(...parts.map((part) => part.nextOutside(block)));
    if (end === block) {
      const rareEnd = Math.min(...parts.map((part) => part.nextFrom(block) ?? Infinity));
      return { start, end: Math.min(rareEnd, source.runEnd(start)) };
    }
    start = source.nextInPool(end);
  }
  return undefined;
}
