/** Options of a receiver, their checks and their defaults. */

import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { LossModel } from '../loss.js';
import { receiverDefaults } from './config.js';

/** Options of a P2MP-FTP receiver. */
export interface ReceiverOptions {
  /** The loss service: decides which arriving data packets to drop. */
  readonly loss?: LossModel;
  /** Idle time that ends a transfer with no explicit end. */
  readonly idleTimeoutMs?: number;
  /**
   * Whether to keep only files that are known to be complete. If true, an idle timeout after a full-size
   * segment is a failure.
   */
  readonly mustEnd?: boolean;
  /** Maximum payload that is accepted but not yet written. New segments beyond this limit are dropped. */
  readonly maxUnwrittenBytes?: number;
  /**
   * Returns whether an address is the receiver's own. Datagrams that claim to come from such an address are
   * not answered.
   */
  readonly isOwnAddress?: (address: Address) => boolean;
}

/**
 * Fills in the defaults.
 * @throws P2mpError INVALID_ARGUMENT
 */
export function completeReceiverOptions({
  loss = () => false,
  idleTimeoutMs = receiverDefaults.idleTimeoutMs,
  mustEnd = false,
  maxUnwrittenBytes = receiverDefaults.maxUnwrittenBytes,
  isOwnAddress = () => false,
}: ReceiverOptions): Required<ReceiverOptions> {
  if (!(idleTimeoutMs > 0 && Number.isFinite(idleTimeoutMs))) {
    const seconds = idleTimeoutMs / 1000;
    throw new P2mpError('INVALID_ARGUMENT', `idle timeout ${seconds} s: must be above 0 seconds`);
  }
  return { loss, idleTimeoutMs, mustEnd, maxUnwrittenBytes, isOwnAddress };
}
