/** Applies a report to the sender's state: gaps, a path sample, and multicast reachability (SESSIONS 5.4). */

import type { TimeMs } from '../base/machine.js';
import type { PathSample } from '../path/path-model.js';
import { burstsAhead } from '../wire/header.js';
import type { Gap, Report } from '../wire/report.js';
import type { BlockWindow } from './block-window.js';
import type { SessionPeer } from './peer.js';
import type { SessionBlock } from './sealed-block.js';

/**
 * Minimum delay that counts as queueing on the return path. Late reads and clock drift can cause shorter
 * delays.
 */
const leastQueueMs = 10;

/**
 * A receiver counts as unreachable by multicast after this many consecutive reports without new multicast
 * datagrams.
 */
const maxStalledMulticastReports = 4;

/**
 * Derives a sample for the receiver's path from a report.
 * @returns undefined if the report says nothing about the path
 * @param lastBurst the last burst that was started; undefined before the first burst
 */
export function takeSample(
  nowMs: TimeMs,
  peer: SessionPeer,
  report: Report,
  lastBurst: number | undefined,
): PathSample | undefined {
  peer.segmentsLost = report.segmentsLost;
  const { rateGroup, unicastBursts, isMulticastReachable } = peer;
  const { cumulativeBurst, largestBurst, ackDelayMs } = report;
  if (largestBurst === undefined || lastBurst === undefined || rateGroup === undefined)
    return undefined;
  // A report of a burst that was never sent results from forged data.
  if (burstsAhead(lastBurst, largestBurst) < 0) return undefined;
  const { groupBursts } = rateGroup;
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
  const reportedAtMs = nowMs - ackDelayMs;
  if (sentAtMs === -Infinity || reportedAtMs < sentAtMs) return undefined;
  peer.rtt.sample(reportedAtMs - sentAtMs);
  const arrivedAtMs = withoutQueueBack(peer, sentAtMs, reportedAtMs);
  return {
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
  };
}

/** Estimated arrival time of the newest datagram, without the time that the report spent in a queue. */
function withoutQueueBack(peer: SessionPeer, sentAtMs: TimeMs, reportedAtMs: TimeMs): TimeMs {
  const { returnPath, model } = peer;
  if (returnPath.queueMs < leastQueueMs) return reportedAtMs;
  const soonestMs = Math.min(reportedAtMs, sentAtMs + model.minRttMs);
  return Math.max(soonestMs, reportedAtMs - returnPath.queueMs);
}

/**
 * Updates whether the receiver can be reached by multicast.
 * @param usesMulticast whether the sender uses multicast for this receiver
 * @param groupDatagramsSent number of datagrams sent to the group so far
 */
export function takeGroup(
  peer: SessionPeer,
  report: Report,
  usesMulticast: boolean,
  groupDatagramsSent: number,
): void {
  // Estimates how many datagrams arrived by multicast: all arrivals minus all unicast datagrams sent. Lost
  // unicast datagrams make the estimate too low. At worst, the sender then uses unicast unnecessarily.
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
  const isMulticastReachable = usesMulticast && report.isMulticastReachable && !peer.isGroupLost;
  if (isMulticastReachable === peer.isMulticastReachable) return;
  peer.isMulticastReachable = isMulticastReachable;
  // Multicast datagrams sent so far do not count as in flight to this receiver.
  peer.groupOver = peer.rateGroup?.groupBursts.total ?? 0;
  peer.model.restart();
  peer.rateGroup?.measure();
}

/**
 * Updates which segments the receiver misses.
 * @param window the blocks in flight of the rate group that serves the receiver
 * @param lastBurst the last burst that was started; undefined before the first burst
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
    // A block without datagrams in memory has not been read yet, or was read only for its digest.
    if (!isDescribed(block) || block.wire === undefined || !peer.needed.has(block.index)) continue;
    missing.add(block);
    peer.needed.remove(block.index, block.index + 1);
    const part = parts.get(block.index);
    // If a report does not cover the whole round, it shows which segments have arrived, but not which are
    // lost.
    if (covers(report, block, index, lastBurst) || !block.isPending(index)) {
      if (part === undefined) block.setMissing(index);
      else block.setMissingSegments(index, part.segments);
      block.endFeedback(index);
    } else if (part !== undefined) {
      block.keepMissingSegments(index, part.segments);
    }
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
