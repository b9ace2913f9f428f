/**
 * Go-back-N timeout handling for receivers that accept segments only in sequence. They discard
 * everything after a missing segment, so a failed round also restarts the later rounds, in order,
 * for the receivers that missed it. A block waiting for an earlier one has no deadline of its own:
 * sent first, it would be discarded again (PROTOCOL 4.7).
 */

import type { TimeMs } from '../base/machine.js';
import type { Block, BlockWindow } from '../transfer/block-window.js';
import type { Peer } from './peer.js';

/** What the sender does when rounds time out. */
export interface GoBackRules {
  /**
   * Handles the failed round of a block that some receivers need next: begins a new round for all
   * pending receivers.
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
      // A block whose round is still being sent needs no new round: the rest of it follows this
      // one.
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
