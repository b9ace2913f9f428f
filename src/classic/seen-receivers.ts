/**
 * Addresses that have behaved as a receiver: they have sent ACKs. Whatever data seems to come from
 * there is forged, or a loop; a receiver that answered it could be made to flood another one
 * (PROTOCOL 7). Bounded in number and in time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { receiverDefaults } from './config.js';

export class SeenReceivers {
  /** When each is forgotten, by address; the one that was seen longest ago first. */
  private readonly expiresAtMs = new Map<string, TimeMs>();

  /** An ACK has come from this address. */
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
    // It is nearly always empty, and every datagram asks.
    if (this.expiresAtMs.size === 0) return false;
    const key = formatAddress(from);
    const expiresAtMs = this.expiresAtMs.get(key);
    if (expiresAtMs === undefined || nowMs < expiresAtMs) return expiresAtMs !== undefined;
    this.expiresAtMs.delete(key);
    return false;
  }
}
