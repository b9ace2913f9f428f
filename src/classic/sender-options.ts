/** What a sender is told: to whom, how large, in which pieces, how long to wait. */

import { P2mpError } from '../base/errors.js';
import type { RttLimits } from '../base/rtt.js';
import type { ReceiverSpec } from '../transfer/receiver-spec.js';
import { maxWindowBlocks, senderDefaults, timeoutDefaults } from './config.js';

/** How long a round waits for its answers (PROTOCOL 4.2, 4.3). */
export type TimeoutSpec =
  | { readonly mode: 'fixed'; readonly timeoutMs: number }
  | {
      readonly mode: 'auto';
      readonly initialMs?: number;
      readonly minMs?: number;
      readonly maxMs?: number;
    };

/** Options of a P2MP-FTP sender. Times are in milliseconds, sizes in bytes. */
export interface SenderOptions {
  readonly receivers: readonly ReceiverSpec[];
  readonly sizeBytes: number;
  readonly mssBytes: number;
  /**
   * Segments that are sent, checked and acknowledged together, 1..64; classic has 1. With more, the
   * ACK of a next number cannot be told from one of a number received.
   */
  readonly segmentsPerBlock?: number;
  /** Blocks in flight at once; classic has 1. */
  readonly windowBlocks?: number;
  readonly timeout?: TimeoutSpec;
  /** Patience with a receiver that acknowledges nothing new. */
  readonly giveUpAfterMs?: number;
  /** Whether to say where the object ends (PROTOCOL 5.2); a course program does not. */
  readonly hasEndMarker?: boolean;
}

export function checkWindow(windowBlocks: number): number {
  if (Number.isInteger(windowBlocks) && windowBlocks >= 1 && windowBlocks <= maxWindowBlocks) {
    return windowBlocks;
  }
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `window ${windowBlocks}: must be a whole number from 1 to ${maxWindowBlocks}`,
  );
}

export function checkTimeout(timeout: TimeoutSpec): TimeoutSpec {
  const values =
    timeout.mode === 'fixed'
      ? [timeout.timeoutMs]
      : [timeout.initialMs, timeout.minMs, timeout.maxMs];
  for (const value of values) {
    if (value !== undefined && !(value > 0 && Number.isFinite(value))) {
      throw new P2mpError('INVALID_ARGUMENT', `timeout ${value}: must be above 0 milliseconds`);
    }
  }
  return timeout;
}

export function defaultGiveUpMs(timeout: TimeoutSpec): number {
  const { giveUpAfterMs, giveUpRounds, maxDefaultGiveUpMs } = senderDefaults;
  if (timeout.mode === 'auto') return giveUpAfterMs;
  return Math.min(Math.max(giveUpAfterMs, giveUpRounds * timeout.timeoutMs), maxDefaultGiveUpMs);
}

export function createRttLimits(timeout: TimeoutSpec, giveUpAfterMs: number): RttLimits {
  const limits: Partial<RttLimits> = timeout.mode === 'auto' ? timeout : {};
  return {
    initialMs: limits.initialMs ?? timeoutDefaults.initialMs,
    granularityMs: timeoutDefaults.granularityMs,
    minMs: limits.minMs ?? timeoutDefaults.minMs,
    maxMs: limits.maxMs ?? timeoutDefaults.maxMs,
    maxBackoffMs: giveUpAfterMs / senderDefaults.giveUpTries,
  };
}
