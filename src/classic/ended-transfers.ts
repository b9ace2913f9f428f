/**
 * A short memory of the transfers that are over, so that late duplicates are answered as before and
 * are not taken for a new transfer. Bounded in number and in time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { DataPacket } from '../packet.js';
import { receiverDefaults } from './config.js';
import type { TransferEnd } from './receiver-events.js';

export interface EndedTransfer {
  /** What still comes is answered with an abort ACK. */
  readonly isFailed: boolean;
  readonly end: TransferEnd | undefined;
  /** What late duplicates are answered with; undefined where nothing was acknowledged. */
  readonly lastSequence: number | undefined;
  /** Size and checksum of its first segment: a first segment with others is another file's. */
  readonly mssBytes: number;
  readonly firstChecksum: number;
  /** How often a packet of type 0xFFFF is still answered. */
  endRepliesLeft: number;
  readonly endedAtMs: TimeMs;
  expiresAtMs: TimeMs;
}

export class EndedTransfers {
  /** By address, oldest first. */
  private readonly transfers = new Map<string, EndedTransfer>();

  constructor(private readonly memoryMs: number) {}

  add(
    nowMs: TimeMs,
    from: Address,
    transfer: Omit<EndedTransfer, 'endRepliesLeft' | 'endedAtMs' | 'expiresAtMs'>,
  ): void {
    const key = formatAddress(from);
    this.transfers.delete(key);
    this.transfers.set(key, {
      ...transfer,
      // The first answer went out when the transfer ended.
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

  /** Remembers it for a while longer. */
  touch(nowMs: TimeMs, transfer: EndedTransfer): void {
    transfer.expiresAtMs = nowMs + this.memoryMs;
  }

  forget(from: Address): void {
    this.transfers.delete(formatAddress(from));
  }
}

/** Whether a packet from the address of an ended transfer begins another one. */
export function isNewTransfer(nowMs: TimeMs, ended: EndedTransfer, packet: DataPacket): boolean {
  if (packet.sequence !== 0) return false;
  const isOther =
    packet.checksum !== ended.firstChecksum || packet.payload.length !== ended.mssBytes;
  const isLate = nowMs - ended.endedAtMs >= receiverDefaults.takeoverAfterMs;
  return isOther || (isLate && !ended.isFailed);
}
