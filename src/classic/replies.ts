/** The datagrams that a receiver sends to its senders: ACKs, answers to the end, and aborts (PROTOCOL 3.4, 5.6). */

import type { Address } from '../base/address.js';
import type { Transmit } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import { encodeAbortAck, encodeAck } from '../packet.js';
import { receiverDefaults } from './config.js';
import type { IncomingTransfer } from './incoming-transfer.js';

/** Queues a receiver's datagrams and counts the ACKs among them. */
export class Replies {
  private readonly transmits = new Queue<Transmit>();
  private ackCount = 0;

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  send(to: Address, bytes: Uint8Array): void {
    this.transmits.push({ to, bytes });
  }

  acknowledge(to: Address, sequence: number): void {
    this.ackCount++;
    this.send(to, encodeAck(sequence));
  }

  /**
   * Acknowledges the first `segmentCount` segments of a transfer, unless they have been acknowledged already.
   */
  acknowledgeThrough(transfer: IncomingTransfer, segmentCount: number): void {
    if (segmentCount === transfer.ackedSegments) return;
    transfer.ackedSegments = segmentCount;
    this.acknowledge(transfer.from, segmentCount - 1);
  }

  /** Answers an out-of-sequence or duplicate packet by repeating the last ACK, if any ACK has been sent. */
  repeatLastAck(transfer: IncomingTransfer): void {
    if (transfer.ackedSegments > 0) this.acknowledge(transfer.from, transfer.ackedSegments - 1);
  }

  /** Acknowledges the end of a transfer, now that its file is durable. */
  acknowledgeEnd(transfer: IncomingTransfer): void {
    transfer.ackedSegments = transfer.segmentCount;
    if (transfer.endReply === undefined) return;
    if (transfer.end !== 'end-packet') this.ackCount++;
    this.send(transfer.from, transfer.endReply);
  }

  /** Sends several abort ACKs, because one may be lost. Each later packet is answered with another abort ACK. */
  abort(transfer: IncomingTransfer): void {
    const bytes = encodeAbortAck(transfer.lastAcked);
    for (let i = 0; i < receiverDefaults.abortCopies; i++) this.send(transfer.from, bytes);
  }

  /** @returns the number of ACKs sent since the last call */
  takeAckCount(): number {
    const count = this.ackCount;
    this.ackCount = 0;
    return count;
  }
}
