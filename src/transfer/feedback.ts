/** What a report says: which segments a receiver lacks, how its path fares, whether it hears the group (SESSIONS 5.4). */

import type { TimeMs } from '../base/machine.js';
import { burstsAhead } from '../wire/header.js';
import type { Gap, Report } from '../wire/report.js';
import type { BlockWindow } from './block-window.js';
import type { SessionPeer } from './peer.js';
import type { SessionBlock } from './sealed-block.js';

/** Hosts read late, and clocks drift: a shorter wait is not a queue on the return path. */
const leastQueueMs = 10;

/** Reports in a row without anything new, though the group was sent to: it does not reach there. */
const maxStalledMulticastReports = 4;

/**
 * What became of the datagrams that had been sent there by then.
 * @param lastBurst the last that was begun; undefined before the first
 */
export function takeSample(
  nowMs: TimeMs,
  peer: SessionPeer,
  report: Report,
  lastBurst: number | undefined,
): void {
  peer.segmentsLost = report.segmentsLost;
  const { rateGroup, unicastBursts, isMulticastReachable } = peer;
  const { cumulativeBurst, largestBurst, ackDelayMs } = report;
  if (largestBurst === undefined || lastBurst === undefined || rateGroup === undefined) return;
  // A burst that is not sent yet was made up.
  if (burstsAhead(lastBurst, largestBurst) < 0) return;
  const { groupBursts, controller } = rateGroup;
  const sentUpTo = (burst: number) =>
    unicastBursts.totalUpTo(burst) + (isMulticastReachable ? groupBursts.totalUpTo(burst) : 0);
  if (cumulativeBurst !== undefined && burstsAhead(lastBurst, cumulativeBurst) >= 0) {
    peer.unicastOver = Math.max(peer.unicastOver, unicastBursts.totalUpTo(cumulativeBurst));
    peer.groupOver = Math.max(peer.groupOver, groupBursts.totalUpTo(cumulativeBurst));
    unicastBursts.forgetBefore(cumulativeBurst);
  }
  const sentAtMs = Math.max(
    unicastBursts.sentAtMs(largestBurst) ?? -Infinity,
    (isMulticastReachable ? groupBursts.sentAtMs(largestBurst) : undefined) ?? -Infinity,
  );
  const toldAtMs = nowMs - ackDelayMs;
  if (sentAtMs === -Infinity || toldAtMs < sentAtMs) return;
  peer.rtt.sample(toldAtMs - sentAtMs);
  const arrivedAtMs = withoutQueueBack(peer, sentAtMs, toldAtMs);
  peer.model.take({
    nowMs,
    arrivedAtMs,
    sentAtMs,
    beganAtMs: Math.min(
      unicastBursts.beganAtMs,
      isMulticastReachable ? groupBursts.beganAtMs : Infinity,
    ),
    sentUpToLargest: sentUpTo(largestBurst),
    sentUpToCumulative: sentUpTo(cumulativeBurst ?? largestBurst),
    sent: unicastBursts.total + (isMulticastReachable ? groupBursts.total : 0),
    received: report.segmentsReceived,
    appLimitedUntilMs: controller.appLimitedUntilMs,
    belowLimitSinceMs: controller.belowLimitSinceMs,
    pacedSinceMs: controller.pacedSinceMs,
    isGrowing: controller.state === 'startup',
  });
}

/** When the datagram arrived: a queue on the return path says nothing about the forward path. */
function withoutQueueBack(peer: SessionPeer, sentAtMs: TimeMs, toldAtMs: TimeMs): TimeMs {
  const { returnPath, model } = peer;
  if (returnPath.queueMs < leastQueueMs) return toldAtMs;
  const soonestMs = Math.min(toldAtMs, sentAtMs + model.minRttMs);
  return Math.max(soonestMs, toldAtMs - returnPath.queueMs);
}

/**
 * Whether the group still reaches the receiver.
 * @param mayHear whether anything goes to the group that is for it
 * @param groupDatagramsSent by now
 */
export function takeGroup(
  peer: SessionPeer,
  report: Report,
  mayHear: boolean,
  groupDatagramsSent: number,
): void {
  // What was sent to it alone cannot have come by the group. Where some of that was lost, this is too
  // low, which costs unicast and nothing else.
  const byGroup = report.segmentsReceived - (peer.unicastBursts.total - peer.unicastBase);
  if (byGroup > peer.receivedByGroup) {
    peer.receivedByGroup = byGroup;
    peer.stalledMulticastReports = 0;
  } else if (report.state === 'receiving' && groupDatagramsSent > peer.groupSentAtReport) {
    peer.stalledMulticastReports++;
  }
  peer.groupSentAtReport = groupDatagramsSent;
  if (peer.stalledMulticastReports >= maxStalledMulticastReports) peer.isGroupLost = true;
  if (report.segmentsReceived > peer.segmentsReceived) peer.noteArrival();
  peer.segmentsReceived = report.segmentsReceived;
  const isMulticastReachable = mayHear && report.isMulticastReachable && !peer.isGroupLost;
  if (isMulticastReachable === peer.isMulticastReachable) return;
  peer.isMulticastReachable = isMulticastReachable;
  // What goes to the group counts from now on, or no longer.
  peer.groupOver = peer.rateGroup?.groupBursts.total ?? 0;
  peer.model.restart();
  peer.rateGroup?.measure();
}

/**
 * @param window of the rate group that serves the receiver
 * @param lastBurst the last that was begun; undefined before the first
 */
export function takeGaps(
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
  const missing = new Set<SessionBlock>();
  const parts = new Map<number, Gap & { kind: 'part' }>();
  for (const gap of report.gaps) {
    const end = gap.firstBlock + (gap.kind === 'whole' ? gap.blockCount : 1);
    peer.needed.add(gap.firstBlock, end);
    if (gap.kind === 'part') parts.set(gap.firstBlock, gap);
  }
  peer.parts = parts;
  for (const block of window) {
    // Where nothing was laid out, the block is not read yet, or was read for its digest alone and is over.
    if (!isDescribed(block) || block.wire === undefined || !peer.needed.has(block.index)) continue;
    missing.add(block);
    peer.needed.remove(block.index, block.index + 1);
    const { low, high } = parts.get(block.index) ?? { low: allSegments, high: allSegments };
    // A report that does not know this round yet tells what has come, not what was lost.
    if (covers(report, block, index, lastBurst) || !block.isPending(index)) {
      block.setMissingSegments(index, low, high);
      block.endFeedback(index);
    } else {
      block.keepMissingSegments(index, low, high);
    }
  }
  for (const block of window) {
    if (!isDescribed(block) || missing.has(block) || !block.isPending(index)) continue;
    block.setMissingSegments(index, 0, 0);
    block.endFeedback(index);
  }
}

/** Whether everything of the block's round had come to the receiver, or was lost, by this report. */
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
  // Nothing of the round was to be sent there.
  return burst === undefined || burstsAhead(cumulativeBurst, burst) >= 0;
}

const allSegments = 0xffffffff;
