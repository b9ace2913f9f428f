/** Makes the list of a report: what is lacking, as far as one message holds it. */
import type { RangeSet } from '../base/range-set.js';
import type { Lack } from '../wire/report.js';
import { maxLackSizeBytes } from '../wire/report.js';
import type { Assembly } from './partial-block.js';

/** Entries that fit a message with room to spare. */
const maxLacks = Math.floor(1000 / maxLackSizeBytes);

export interface LackList {
  readonly lacks: readonly Lack[];
  /** The list tells of all blocks from `firstBlock` to below this. */
  readonly describedBlocks: number;
}

/**
 * @param lacking blocks that are not complete
 * @param assemblies of these, the ones of which something has come
 * @param endBlock where the blocks end that may be told of
 */
export function listLacks(
  lacking: RangeSet,
  assemblies: ReadonlyMap<number, Assembly>,
  firstBlock: number,
  endBlock: number,
): LackList {
  const lacks: Lack[] = [];
  if (firstBlock >= endBlock) return { lacks, describedBlocks: endBlock };
  const parts = [...assemblies.keys()].filter((block) => block >= firstBlock).sort((a, b) => a - b);
  let part = 0;
  for (const { start, end } of rangesFrom(lacking, firstBlock, endBlock)) {
    let next = start;
    while (next < end) {
      if (lacks.length >= maxLacks) return { lacks, describedBlocks: next };
      while (part < parts.length && (parts[part] as number) < next) part++;
      const block = parts[part];
      if (block === next) {
        const { lackingLow, lackingHigh } = assemblies.get(block) as Assembly;
        lacks.push({
          kind: 'part',
          firstBlock: block,
          low: lackingLow >>> 0,
          high: lackingHigh >>> 0,
        });
        next++;
      } else {
        const runEnd = Math.min(end, block ?? end);
        lacks.push({ kind: 'whole', firstBlock: next, blockCount: runEnd - next });
        next = runEnd;
      }
    }
  }
  return { lacks, describedBlocks: endBlock };
}

function* rangesFrom(set: RangeSet, from: number, to: number) {
  for (const { start, end } of set.ranges()) {
    if (end <= from) continue;
    if (start >= to) return;
    yield { start: Math.max(start, from), end: Math.min(end, to) };
  }
}
