/**
 * Addresses that have sent ACKs and therefore belong to receivers. Data from such an address is forged or
 * looped back. If a receiver answered such data, an attacker could use the answers to flood another receiver
 * (PROTOCOL 7). A limited number of addresses is remembered for a limited time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { receiverDefaults } from './config.js';

/** Recently seen receiver addresses. */
export class SeenReceivers {
  /** The expiry time of each address, least recently seen first. */
  private readonly expiresAtMs = new Map<string, TimeMs>();

  /** Records an ACK from this address. */
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
    // Fast path: this method is called for every datagram, and the map is nearly always empty.
    if (this.expiresAtMs.size === 0) return false;
    const key = formatAddress(from);
    const expiresAtMs = this.expiresAtMs.get(key);
    if (expiresAtMs === undefined || nowMs < expiresAtMs) return expiresAtMs !== undefined;
    this.expiresAtMs.delete(key);
    return false;
  }
}
