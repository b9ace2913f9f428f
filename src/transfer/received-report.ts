/** Applies the gaps of a report to the blocks in flight (SESSIONS 5.4). */
import { RangeSet } from '../base/range-set.js';
import type { SegmentSet } from '../base/segment-set.js';
import { burstsAhead } from '../wire/header.js';
import type { Report } from '../wire/report.js';
import type { BlockWindow } from './block-window.js';
import type { Demand } from './demand.js';
import type { SessionBlock } from './sealed-block.js';

/** The blocks in flight of a rate group that serves the receiver. */
interface InFlight {
  readonly rounds: { readonly window: BlockWindow<SessionBlock> };
}

/**
 * Updates which segments the receiver misses.
 * @param groups all rate groups that serve the receiver, each by another path
 * @param own the rate group of the path that the report is about
 * @param lastBurst the last burst that was started; undefined before the first burst
 * @param openBlocks a block from this one on is sent to no receiver that it has not been sent to already
 */
export function takeGaps(
  groups: Iterable<InFlight>,
  own: InFlight,
  demand: Demand,
  report: Report,
  lastBurst: number | undefined,
  openBlocks = Infinity,
): void {
  const { index } = demand;
  const { firstBlock, describedBlocks } = report;
  const isDescribed = (block: SessionBlock) =>
    block.index >= firstBlock && block.index < describedBlocks;
  demand.takeGaps(report);
  const missing = new Set<SessionBlock>();
  // A block that is in flight by one path is not needed of another one that sent it before.
  for (const isPending of [true, false]) {
    for (const group of groups) {
      for (const block of group.rounds.window) {
        if (block.isPending(index) !== isPending || !isDescribed(block)) continue;
        if (!demand.needs(block.index)) continue;
        // A block without datagrams is being read, or was read only for its digest.
        const isUnsent = block.wire === undefined || block.index >= openBlocks;
        if (isUnsent && !isPending) continue;
        missing.add(block);
        demand.updateInFlight(block, group === own && covers(report, block, index, lastBurst));
      }
    }
  }
  for (const { rounds } of groups) {
    for (const block of rounds.window) {
      if (!isDescribed(block) || missing.has(block) || !block.isPending(index)) continue;
      block.clearMissing(index);
      block.endFeedback(index);
    }
  }
}

/**
 * Applies a report that has arrived after a later one, because its path is slower. It says only what has become of
 * the blocks in flight by its path.
 */
export function takeLateGaps(
  { rounds: { window } }: InFlight,
  { index }: Demand,
  report: Report,
  lastBurst: number | undefined,
): void {
  const { firstBlock, describedBlocks, gaps } = report;
  const whole = new RangeSet();
  const parts = new Map<number, SegmentSet>();
  for (const gap of gaps) {
    if (gap.kind === 'part') parts.set(gap.firstBlock, gap.segments);
    else whole.add(gap.firstBlock, gap.firstBlock + gap.blockCount);
  }
  for (const block of window) {
    if (block.index < firstBlock || block.index >= describedBlocks) continue;
    if (!block.isPending(index)) continue;
    const segments = parts.get(block.index);
    if (segments !== undefined) block.keepMissingSegments(index, segments);
    else if (!whole.has(block.index)) block.clearMissing(index);
    const isOver = !block.isPending(index) || covers(report, block, index, lastBurst);
    if (isOver) block.endFeedback(index);
  }
}

/** Whether every datagram of the block's round had arrived or was lost when the receiver sent the report. */
function covers(
  report: Report,
  block: SessionBlock,
  receiver: number,
  lastBurst: number | undefined,
): boolean {
  const { cumulativeBurst } = report;
  if (cumulativeBurst === undefined || block.isSending) return false;
  if (lastBurst === undefined || burstsAhead(cumulativeBurst, lastBurst) > 0) return false;
  const burst = block.burstOf(receiver);
  // The burst is undefined if the round sent nothing to this receiver.
  return burst === undefined || burstsAhead(cumulativeBurst, burst) >= 0;
}
