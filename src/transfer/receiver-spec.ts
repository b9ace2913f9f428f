/**
 * Description of a receiver, and the check of the liveness timeout. The senders of both protocols use this
 * module.
 */
import { P2mpError } from '../base/errors.js';
import type { PathEnds } from '../path/path.js';

/** One receiver of a transfer: its name, and the addresses to try in order. */
export interface ReceiverSpec extends PathEnds {
  /** The name used in events and results. */
  readonly name: string;
}

export function checkLivenessTimeout(livenessTimeoutMs: number): number {
  if (livenessTimeoutMs > 0 && Number.isFinite(livenessTimeoutMs)) return livenessTimeoutMs;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `liveness timeout of ${livenessTimeoutMs / 1000} s: must be above 0 seconds`,
  );
}
