/** Applies the gaps of a report to the blocks in flight (SESSIONS 5.4). */
import { burstsAhead } from '../wire/header.js';
import type { Report } from '../wire/report.js';
import type { BlockWindow } from './block-window.js';
import type { Demand } from './demand.js';
import type { SessionBlock } from './sealed-block.js';

/**
 * Updates which segments the receiver misses.
 * @param window the blocks in flight of the rate group that serves the receiver
 * @param lastBurst the last burst that was started; undefined before the first burst
 * @param openBlocks a block from this one on is sent to no receiver that it has not been sent to already
 */
export function takeGaps(
  window: BlockWindow<SessionBlock>,
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
  for (const block of window) {
    if (!isDescribed(block) || !demand.needs(block.index)) continue;
    // The block was read only for its digest, or is being read and the receiver did not want it.
    if ((block.wire === undefined || block.index >= openBlocks) && !block.isPending(index))
      continue;
    missing.add(block);
    demand.updateInFlight(block, covers(report, block, index, lastBurst));
  }
  for (const block of window) {
    if (!isDescribed(block) || missing.has(block) || !block.isPending(index)) continue;
    block.clearMissing(index);
    block.endFeedback(index);
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
