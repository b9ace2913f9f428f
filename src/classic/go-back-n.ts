/**
 * Go-back-N timeout handling for receivers that accept segments only in sequence. Such a receiver discards everything
 * after a missing segment, so when its round fails, the rounds of later blocks restart for it in order. A block that
 * waits for an earlier one has no deadline of its own, because receivers would discard it again if it were sent first
 * (PROTOCOL 4.7).
 */

import type { TimeMs } from '../base/machine.js';
import type { Block, BlockWindow } from '../transfer/block-window.js';
import type { Peer } from './peer.js';

/** What the sender does when rounds time out. */
export interface GoBackRules {
  /**
   * Handles the failed round of a block that some receivers need next. Begins a new round for all pending receivers.
   */
  handleDeadline(nowMs: TimeMs, block: Block): void;
  /** Begins a round of a later block for these receivers only. */
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
      // A block without a deadline is still being sent. The rest of its round follows, so it needs no new round.
      rules.beginRound(block, late);
    } else if (isDue) block.deadlineMs = before?.deadlineMs;
    before = block;
  }
}

/**
 * Adds the receivers that miss this block and no earlier one.
 * @returns whether there are any
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
