/** What a report says of the blocks in flight: which segments a receiver has, which it lacks (SESSIONS 5.4). */
import type { BlockWindow } from '../block-window.js';
import type { Lack, Report } from './report.js';
import type { SessionBlock } from './session-block.js';
import { burstsAhead } from './session-packet.js';
import type { SessionPeer } from './session-peer.js';

/**
 * @param window of the lane that serves the receiver
 * @param lastBurst the last that was begun; undefined before the first
 */
export function takeLacks(
  window: BlockWindow<SessionBlock>,
  peer: SessionPeer,
  report: Report,
  lastBurst: number | undefined,
): void {
  const { index } = peer;
  const { firstBlock, describedBlocks } = report;
  const isDescribed = (block: SessionBlock) =>
    block.index >= firstBlock && block.index < describedBlocks;
  if (describedBlocks > firstBlock) peer.needed.remove(firstBlock, describedBlocks);
  const lacked = new Set<SessionBlock>();
  const parts = new Map<number, Lack & { kind: 'part' }>();
  for (const lack of report.lacks) {
    const end = lack.firstBlock + (lack.kind === 'whole' ? lack.blockCount : 1);
    peer.needed.add(lack.firstBlock, end);
    if (lack.kind === 'part') parts.set(lack.firstBlock, lack);
  }
  peer.parts = parts;
  for (const block of window) {
    // Where nothing was laid out, the block is not read yet, or was read for its digest alone and is over.
    if (!isDescribed(block) || block.wire === undefined || !peer.needed.has(block.index)) continue;
    lacked.add(block);
    peer.needed.remove(block.index, block.index + 1);
    const { low, high } = parts.get(block.index) ?? { low: allSegments, high: allSegments };
    // A report that does not know this round yet tells what has come, not what was lost.
    if (covers(report, block, index, lastBurst) || !block.isPending(index)) {
      block.setLackingSegments(index, low, high);
      block.endAwait(index);
    } else {
      block.keepLackingSegments(index, low, high);
    }
  }
  for (const block of window) {
    if (!isDescribed(block) || lacked.has(block) || !block.isPending(index)) continue;
    block.setLackingSegments(index, 0, 0);
    block.endAwait(index);
  }
}

/** Whether everything of the block's round had come to the receiver, or was lost, by this report. */
function covers(
  report: Report,
  block: SessionBlock,
  receiver: number,
  lastBurst: number | undefined,
): boolean {
  const { throughBurst } = report;
  if (throughBurst === undefined || block.isSending) return false;
  if (lastBurst === undefined || burstsAhead(throughBurst, lastBurst) > 0) return false;
  const burst = block.burstOf(receiver);
  // Nothing of the round was to be sent there.
  return burst === undefined || burstsAhead(throughBurst, burst) >= 0;
}

const allSegments = 0xffffffff;
