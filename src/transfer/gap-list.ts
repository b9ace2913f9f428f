/** Builds the gap list of a report. The list always fits into one message. */
import type { RangeSet } from '../base/range-set.js';
import type { Gap } from '../wire/report.js';
import { maxGapSizeBytes } from '../wire/report.js';
import type { PartialBlock } from './partial-block.js';

/** Maximum size of the list. It fits into a message with room to spare. */
const maxListSizeBytes = 1000;

export interface GapList {
  readonly gaps: readonly Gap[];
  /** End (exclusive) of the range of blocks that the list describes. The range begins at `firstBlock`. */
  readonly describedBlocks: number;
}

/**
 * @param missing all blocks that are incomplete
 * @param partialBlocks those incomplete blocks of which some segments have arrived
 * @param endBlock end (exclusive) of the range that the list may describe
 */
export function listGaps(
  missing: RangeSet,
  partialBlocks: ReadonlyMap<number, PartialBlock>,
  firstBlock: number,
  endBlock: number,
  segmentsPerBlock: number,
): GapList {
  const maxGaps = Math.floor(maxListSizeBytes / maxGapSizeBytes(segmentsPerBlock));
  const gaps: Gap[] = [];
  if (firstBlock >= endBlock) return { gaps, describedBlocks: endBlock };
  const parts = [...partialBlocks.keys()]
    .filter((block) => block >= firstBlock)
    .sort((a, b) => a - b);
  let part = 0;
  for (const { start, end } of rangesFrom(missing, firstBlock, endBlock)) {
    let next = start;
    while (next < end) {
      if (gaps.length >= maxGaps) return { gaps, describedBlocks: next };
      while (part < parts.length && (parts[part] as number) < next) part++;
      const block = parts[part];
      if (block === next) {
        const { missing: segments } = partialBlocks.get(block) as PartialBlock;
        gaps.push({ kind: 'part', firstBlock: block, segments });
        next++;
      } else {
        const runEnd = Math.min(end, block ?? end);
        gaps.push({ kind: 'whole', firstBlock: next, blockCount: runEnd - next });
        next = runEnd;
      }
    }
  }
  return { gaps, describedBlocks: endBlock };
}

function* rangesFrom(set: RangeSet, from: number, to: number) {
  for (const { start, end } of set.ranges()) {
    if (end <= from) continue;
    if (start >= to) return;
    yield { start: Math.max(start, from), end: Math.min(end, to) };
  }
}
