/** Options of a sender, their checks and their defaults. */

import { P2mpError } from '../base/errors.js';
import type { Checks } from '../base/options/check-options.js';
import { flag, number, required, variantOf } from '../base/options/check-options.js';
import type { RttLimits } from '../base/rtt.js';
import type { ReceiverSpec } from '../transfer/receiver-spec.js';
import { checkLivenessTimeout } from '../transfer/receiver-spec.js';
import { maxWindowBlocks, senderDefaults, timeoutDefaults } from './config.js';

/** Retransmission timeout of a round, fixed or estimated (PROTOCOL 4.2, 4.3). */
export type TimeoutSpec =
  | { readonly mode: 'fixed'; readonly timeoutMs: number }
  | {
      readonly mode: 'auto';
      readonly initialMs?: number;
      readonly minMs?: number;
      readonly maxMs?: number;
    };

export const timeoutCheck = variantOf('mode', {
  fixed: { timeoutMs: required(number) },
  auto: { initialMs: number, minMs: number, maxMs: number },
});

/** Options of a P2MP-FTP sender. Times are in milliseconds, sizes in bytes. */
export interface SenderOptions {
  /** The receivers, numbered by their position in this list. */
  readonly receivers: readonly ReceiverSpec[];
  /** Size of the file. */
  readonly sizeBytes: number;
  /** Payload bytes per datagram. */
  readonly mssBytes: number;
  /**
   * Segments per block, 1..64; the classic protocol uses 1. With more segments per block, the sender cannot
   * detect a receiver that acknowledges the next segment number instead of the number received.
   */
  readonly segmentsPerBlock?: number;
  /** Maximum number of blocks in flight; the classic protocol uses 1. */
  readonly windowBlocks?: number;
  /** The retransmission timeout; by default it adapts to the round-trip time. */
  readonly timeout?: TimeoutSpec;
  /** A receiver that acknowledges nothing new for this long fails. */
  readonly livenessTimeoutMs?: number;
  /** Whether to send an end marker (PROTOCOL 5.2). Programs that follow the course text send none. */
  readonly hasEndMarker?: boolean;
}

/** Checks of the options except the receivers. */
export const senderChecks: Checks<Omit<SenderOptions, 'receivers'>> = {
  sizeBytes: required(number),
  mssBytes: required(number),
  segmentsPerBlock: number,
  windowBlocks: number,
  timeout: timeoutCheck,
  livenessTimeoutMs: number,
  hasEndMarker: flag,
};

/** All options of a sender, with defaults filled in. */
export interface SenderTerms {
  readonly windowBlocks: number;
  readonly timeout: TimeoutSpec;
  readonly livenessTimeoutMs: number;
  readonly hasEndMarker: boolean;
  readonly rttLimits: RttLimits;
}

/**
 * Checks the options and fills in the defaults.
 * @throws P2mpError INVALID_ARGUMENT
 */
export function completeSenderOptions(options: SenderOptions): SenderTerms {
  const { sizeBytes, windowBlocks = 1, hasEndMarker = true } = options;
  const timeout = checkTimeout(options.timeout ?? { mode: 'auto' });
  const livenessTimeoutMs = checkLivenessTimeout(
    options.livenessTimeoutMs ?? defaultLivenessTimeoutMs(timeout),
  );
  if (sizeBytes === 0 && !hasEndMarker) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'an empty file consists only of its end marker; leave out --no-end-marker',
    );
  }
  const rttLimits = createRttLimits(timeout, livenessTimeoutMs);
  return {
    windowBlocks: checkWindow(windowBlocks),
    timeout,
    livenessTimeoutMs,
    hasEndMarker,
    rttLimits,
  };
}

/** @throws P2mpError INVALID_ARGUMENT */
function checkWindow(windowBlocks: number): number {
  if (Number.isInteger(windowBlocks) && windowBlocks >= 1 && windowBlocks <= maxWindowBlocks) {
    return windowBlocks;
  }
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `window ${windowBlocks}: must be a whole number from 1 to ${maxWindowBlocks}`,
  );
}

/** @throws P2mpError INVALID_ARGUMENT */
function checkTimeout(timeout: TimeoutSpec): TimeoutSpec {
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

/** Default liveness timeout. It depends on the retransmission timeout if that timeout is fixed. */
function defaultLivenessTimeoutMs(timeout: TimeoutSpec): number {
  const { livenessTimeoutMs, livenessTimeoutRounds, maxDefaultLivenessTimeoutMs } = senderDefaults;
  if (timeout.mode === 'auto') return livenessTimeoutMs;
  return Math.min(
    Math.max(livenessTimeoutMs, livenessTimeoutRounds * timeout.timeoutMs),
    maxDefaultLivenessTimeoutMs,
  );
}

/** Limits of the RTT estimator, with defaults filled in. */
function createRttLimits(timeout: TimeoutSpec, livenessTimeoutMs: number): RttLimits {
  const limits: Partial<RttLimits> = timeout.mode === 'auto' ? timeout : {};
  return {
    initialMs: limits.initialMs ?? timeoutDefaults.initialMs,
    granularityMs: timeoutDefaults.granularityMs,
    minMs: limits.minMs ?? timeoutDefaults.minMs,
    maxMs: limits.maxMs ?? timeoutDefaults.maxMs,
    maxBackoffMs: livenessTimeoutMs / senderDefaults.livenessTimeoutTries,
  };
}
