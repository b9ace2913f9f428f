/** What senders of both dialects are given of each receiver, and their patience with it. */
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';

/** One receiver of a transfer: its name, and the addresses to try in order. */
export interface ReceiverSpec {
  /** What people call it; events and results name it by this. */
  readonly name: string;
  readonly address: Address;
  /** Where else it may be, as a name with addresses of IPv4 and IPv6; tried where the first does not answer. */
  readonly otherAddresses?: readonly Address[];
}

export function checkGiveUp(giveUpAfterMs: number): number {
  if (giveUpAfterMs > 0 && Number.isFinite(giveUpAfterMs)) return giveUpAfterMs;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `liveness timeout of ${giveUpAfterMs / 1000} s: must be above 0 seconds`,
  );
}
