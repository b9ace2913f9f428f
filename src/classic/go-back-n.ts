/**
 * Go-back-N timeout handling for receivers that accept segments only in sequence (PROTOCOL 4.7). Such a
 * receiver discards everything after a missing segment. If the round of a block fails for a receiver, the
 * rounds of all later blocks therefore restart for that receiver, in order. If the deadline of a block
 * expires while all pending receivers miss an earlier block too, the block is not sent yet, because these
 * receivers would discard it again. Its new deadline is that of the block before it.
 */

import type { TimeMs } from '../base/machine.js';
import type { Block, BlockWindow } from '../transfer/block-window.js';
import type { Peer } from './peer.js';

/** Actions of the sender when rounds time out. */
export interface GoBackRules {
  /**
   * Handles the failed round of a block that some receivers need next. Begins a new round for all pending receivers.
   */
  handleDeadline(nowMs: TimeMs, block: Block): void;
  /** Begins a round, for these receivers only, of a block that follows the one whose deadline expired. */
  beginRound(block: Block, receivers: ReadonlySet<number>): void;
}

/** Handles expired deadlines of the blocks in flight, oldest first. */
export function goBack(
  nowMs: TimeMs,
  window: BlockWindow,
  peers: readonly Peer[],
  rules: GoBackRules,
): void {
  const late = new Set<number>();
  let before: Block | undefined;
  for (const block of window) {
    const isDue = block.deadlineMs !== undefined && block.deadlineMs <= nowMs;
    const isAwaited = isDue && addAwaiting(late, peers, block);
    if (isDue && (isAwaited || before === undefined)) rules.handleDeadline(nowMs, block);
    else if (late.size > 0 && block.deadlineMs !== undefined && block.isAnyPending(late)) {
      // A block without a deadline is still being sent. The receivers will get the rest of the current round,
      // so the block needs no new round.
      rules.beginRound(block, late);
    } else if (isDue) block.deadlineMs = before?.deadlineMs;
    before = block;
  }
}

/**
 * Adds the receivers whose first missing block is this one.
 * @returns whether there are any such receivers
 */
function addAwaiting(receivers: Set<number>, peers: readonly Peer[], block: Block): boolean {
  let isAny = false;
  for (const { index, ackedSegments } of peers) {
    if (block.firstSequence > ackedSegments || !block.isPending(index)) continue;
    receivers.add(index);
    isAny = true;
  }
  return isAny;
}
