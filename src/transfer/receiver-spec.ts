/**
 * Description of a receiver, and the check of the liveness timeout. The senders of both protocols use this
 * module.
 */
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';

/** One receiver of a transfer: its name, and the addresses to try in order. */
export interface ReceiverSpec {
  /** The name used in events and results. */
  readonly name: string;
  /** Where the receiver listens. */
  readonly address: Address;
  /** Further addresses of the receiver. They are tried if `address` does not answer. */
  readonly otherAddresses?: readonly Address[];
  /** The local host from which a session sends to the receiver; by default, the system chooses. */
  readonly localHost?: string;
}

export function checkLivenessTimeout(livenessTimeoutMs: number): number {
  if (livenessTimeoutMs > 0 && Number.isFinite(livenessTimeoutMs)) return livenessTimeoutMs;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `liveness timeout of ${livenessTimeoutMs / 1000} s: must be above 0 seconds`,
  );
}
