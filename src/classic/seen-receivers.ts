/**
 * Addresses that have sent ACKs and are therefore receivers. Data from such an address is forged or looped back. A
 * receiver that answered such data could be made to flood another receiver (PROTOCOL 7). A limited number of addresses
 * is remembered for a limited time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { receiverDefaults } from './config.js';

/** Recently seen receiver addresses. */
export class SeenReceivers {
  /** The expiry time of each address, least recently seen first. */
  private readonly expiresAtMs = new Map<string, TimeMs>();

  /** Notes an ACK from this address. */
  add(nowMs: TimeMs, from: Address): void {
    const { maxSeenReceivers, seenReceiverMemoryMs } = receiverDefaults;
    const key = formatAddress(from);
    this.expiresAtMs.delete(key);
    this.expiresAtMs.set(key, nowMs + seenReceiverMemoryMs);
    if (this.expiresAtMs.size <= maxSeenReceivers) return;
    for (const oldest of this.expiresAtMs.keys()) {
      this.expiresAtMs.delete(oldest);
      break;
    }
  }

  has(nowMs: TimeMs, from: Address): boolean {
    // Fast path: called for every datagram, and nearly always empty.
    if (this.expiresAtMs.size === 0) return false;
    const key = formatAddress(from);
    const expiresAtMs = this.expiresAtMs.get(key);
    if (expiresAtMs === undefined || nowMs < expiresAtMs) return expiresAtMs !== undefined;
    this.expiresAtMs.delete(key);
    return false;
  }
}
