/**
 * Remembers recently ended transfers, so that late duplicates get the same answer as before and do not start a new
 * transfer. A limited number of transfers is remembered for a limited time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { DataPacket } from '../packet.js';
import { receiverDefaults } from './config.js';
import type { TransferEnd } from './receiver-events.js';

/** What a receiver knows about a transfer when the transfer ends. */
export interface EndedTransferFacts {
  /** Whether the transfer failed. If it did, later packets are answered with an abort ACK. */
  readonly isFailed: boolean;
  readonly end: TransferEnd | undefined;
  /** Sequence number in the ACK that answers late duplicates; undefined if nothing was acknowledged. */
  readonly lastSequence: number | undefined;
  /**
   * Size and checksum of the first segment. A first segment with another size or checksum starts another
   * file.
   */
  readonly mssBytes: number;
  readonly firstChecksum: number;
}

/** What the receiver remembers about an ended transfer. */
export interface EndedTransfer extends EndedTransferFacts {
  /** Number of further packets of type 0xFFFF that will be answered. */
  endRepliesLeft: number;
  readonly endedAtMs: TimeMs;
  expiresAtMs: TimeMs;
}

/** Recently ended transfers, keyed by sender address. */
export class EndedTransfers {
  /** The transfers by address, oldest first. */
  private readonly transfers = new Map<string, EndedTransfer>();

  constructor(private readonly memoryMs: number) {}

  add(nowMs: TimeMs, from: Address, transfer: EndedTransferFacts): void {
    const key = formatAddress(from);
    this.transfers.delete(key);
    this.transfers.set(key, {
      ...transfer,
      // The receiver already sent the first answer when the transfer ended.
      endRepliesLeft: receiverDefaults.maxEndReplies - 1,
      endedAtMs: nowMs,
      expiresAtMs: nowMs + this.memoryMs,
    });
    if (this.transfers.size > receiverDefaults.maxEndedTransfers) {
      for (const oldest of this.transfers.keys()) {
        this.transfers.delete(oldest);
        break;
      }
    }
  }

  find(nowMs: TimeMs, from: Address): EndedTransfer | undefined {
    const key = formatAddress(from);
    const transfer = this.transfers.get(key);
    if (transfer === undefined || nowMs < transfer.expiresAtMs) return transfer;
    this.transfers.delete(key);
    return undefined;
  }

  /** Restarts the transfer's expiry time. */
  touch(nowMs: TimeMs, transfer: EndedTransfer): void {
    transfer.expiresAtMs = nowMs + this.memoryMs;
  }

  forget(from: Address): void {
    this.transfers.delete(formatAddress(from));
  }
}

/** Whether a packet from the sender of an ended transfer starts a new transfer. */
export function isNewTransfer(nowMs: TimeMs, ended: EndedTransfer, packet: DataPacket): boolean {
  if (packet.sequence !== 0) return false;
  const isOther =
    packet.checksum !== ended.firstChecksum || packet.payload.length !== ended.mssBytes;
  const isLate = nowMs - ended.endedAtMs >= receiverDefaults.takeoverAfterMs;
  return isOther || (isLate && !ended.isFailed);
}
