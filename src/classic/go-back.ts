/**
 * What follows the deadlines of rounds where receivers take segments in sequence only: behind one
 * that is lacking, whatever they were sent is gone. So a round that fails takes the later ones with
 * it, in order, for the receivers that it failed at; and a block that waits behind another has no
 * deadline of its own: sent before that one, it would be thrown away again (PROTOCOL 4.7).
 */

import type { TimeMs } from '../base/machine.js';
import type { Block, BlockWindow } from '../transfer/block-window.js';
import type { Peer } from './peer.js';

export interface GoBackRules {
  /** The round of a block that some receivers await has failed: begins the next one for all pending. */
  handleDeadline(nowMs: TimeMs, block: Block): void;
  /** Begins a round of a later block for these receivers. */
  beginRound(block: Block, receivers: ReadonlySet<number>): void;
}

/** Goes through the blocks in flight, oldest first, whose deadlines have passed. */
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
      // One that is still being sent, to whomever, goes out behind this one as it is.
      rules.beginRound(block, late);
    } else if (isDue) block.deadlineMs = before?.deadlineMs;
    before = block;
  }
}

/**
 * Adds the receivers that lack this block and nothing before it.
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
