/**
 * The last window of a fetch: each missing block is asked of a source, and an idle source is asked for what it would
 * deliver clearly earlier than those that are asked already.
 */
import type { TimeMs } from '../../../base/machine.js';
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import type { FetchSource } from '../fetch-source.js';

/** A block is asked of a second source if that source would deliver it in less than this part of the time. */
const repeatFactor = 1.25;
const repeatMarginMs = 30;

/**
 * @param live the sources that have not left
 * @param shared the blocks that may be asked of several sources
 * @returns of the blocks that this source would deliver clearly earlier than the others, the one that is latest
 */
export function latestFor(
  nowMs: TimeMs,
  source: FetchSource,
  live: readonly FetchSource[],
  shared: ReadonlyRangeSet,
): number | undefined {
  let latestMs = repeatFactor * source.arrivalMs(1) + repeatMarginMs;
  let latest: number | undefined;
  for (const other of live) {
    let block = other.asked.previousFrom(Infinity);
    let rank = other.asked.count;
    while (block !== undefined && other.pendingMs(nowMs, rank) > latestMs) {
      if (!source.asked.has(block) && source.holds(block)) {
        const pendingMs = shared.has(block)
          ? firstPendingMs(nowMs, block, live)
          : other.pendingMs(nowMs, rank);
        if (pendingMs > latestMs) {
          latestMs = pendingMs;
          latest = block;
          break;
        }
      }
      rank--;
      block = other.asked.previousFrom(block - 1);
    }
  }
  return latest;
}

/** The time until the first of the sources that are asked for a block delivers it. */
function firstPendingMs(nowMs: TimeMs, block: number, live: readonly FetchSource[]): number {
  let firstMs = Infinity;
  for (const other of live) {
    if (!other.asked.has(block)) continue;
    firstMs = Math.min(firstMs, other.pendingMs(nowMs, other.asked.countBelow(block + 1)));
  }
  return firstMs;
}
