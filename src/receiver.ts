/**
 * The receiver handles one transfer at a time, from one sender. It applies the loss service (PROTOCOL 3.5),
 * verifies checksums, accepts segments in order, drops duplicates, and sends ACKs. It also detects the end of
 * a transfer, which the base protocol does not mark (PROTOCOL 3 and 5). The receiver acknowledges the end
 * only once the file is durable under its final name. If storage fails, the receiver notifies the sender. It
 * therefore never reports a false success.
 */
import type { Address } from './base/address.js';
import { formatAddress, sameAddress } from './base/address.js';
import { assert } from './base/assert.js';
import type { Machine, TimeMs, Transmit } from './base/machine.js';
import { stoppedTimeMs } from './base/machine.js';
import { Queue } from './base/queue.js';
import { receiverDefaults } from './classic/config.js';
import { DiagnosisLog } from './classic/diagnosis/diagnosis-log.js';
import { EndedTransfers, isNewTransfer } from './classic/ended-transfers.js';
import { IncomingTransfer } from './classic/incoming-transfer.js';
import type { ReceiverEvent, TransferEnd, TransferResult } from './classic/receiver-events.js';
import type { ReceiverOptions } from './classic/receiver-options.js';
import { completeReceiverOptions } from './classic/receiver-options.js';
import { Replies } from './classic/replies.js';
import { SeenReceivers } from './classic/seen-receivers.js';
import type { DataPacket } from './packet.js';
import {
  checkPayload,
  copyHeader,
  decode,
  encodeAbortAck,
  encodeAck,
  encodeIdentifyAck,
  isAbortMarker,
  isIdentifyMarker,
} from './packet.js';
import type { FaultKind } from './wire/faults.js';
import { FaultLog } from './wire/faults.js';

/**
 * The P2MP-FTP receiver as a state machine. It accepts segments in order, acknowledges them and detects the end
 * (PROTOCOL 5).
 * @example
 * ```ts
 * import { encodeData, Receiver } from 'p2mp/core';
 *
 * const receiver = new Receiver();
 * const from = { host: '192.0.2.1', port: 50_000 };
 * receiver.handleDatagram(0, from, encodeData(0, Uint8Array.of(1, 2, 3, 4)));
 * console.log(receiver.pollEvent()?.type, receiver.pollEvent()?.type); // open write
 * receiver.handleWritten(4);
 * console.log(receiver.pollTransmit()?.bytes.length); // 8
 * ```
 */
export class Receiver implements Machine<ReceiverEvent> {
  private readonly options: Required<ReceiverOptions>;
  private readonly events = new Queue<ReceiverEvent>();
  private readonly replies = new Replies();
  private readonly faults = new FaultLog((event) => this.events.push(event));
  private readonly diagnoses = new DiagnosisLog((event) => this.events.push(event));
  private readonly ended: EndedTransfers;
  private readonly seenReceivers = new SeenReceivers();

  private transfer: IncomingTransfer | undefined;
  private dataPackets = 0;
  private losses = 0;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(options: ReceiverOptions = {}) {
    this.options = completeReceiverOptions(options);
    this.ended = new EndedTransfers(this.options.idleTimeoutMs);
  }

  get isReceiving(): boolean {
    return this.transfer !== undefined;
  }

  /** Number of payload bytes received in sequence in the current transfer. */
  get receivedBytes(): number {
    return this.transfer?.sizeBytes ?? 0;
  }

  /**
   * Handles a datagram from any address. Anything that is not a packet of this protocol is counted
   * as a fault.
   */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decode(bytes);
    if (this.options.isOwnAddress(from)) {
      this.reject(nowMs, 'own-address', from, bytes);
    } else if (typeof packet === 'string') {
      this.reject(nowMs, packet, from, bytes);
    } else if (packet.kind === 'ack') {
      this.handleAck(nowMs, from, bytes);
    } else if (this.seenReceivers.has(nowMs, from)) {
      this.reject(nowMs, 'from-receiver', from, bytes);
    } else if (packet.kind === 'data') {
      this.handleDataPacket(nowMs, from, packet, bytes);
    } else {
      this.handleEndPacket(nowMs, from, bytes);
    }
  }

  /**
   * Handles an ACK. Only receivers send ACKs, so the ACK's address does not belong to a sender. Any data from
   * that address was forged or looped back (PROTOCOL 7.2).
   */
  private handleAck(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.reject(nowMs, 'wrong-direction', from, bytes);
    this.seenReceivers.add(nowMs, from);
    const transfer = this.transferFrom(from);
    if (transfer === undefined || transfer.end !== undefined) return;
    const reason =
      "an ACK came from the sender's address: the address belongs to a receiver, or another host forges it";
    this.fail(nowMs, transfer, 'failed', reason);
  }

  handleTimeout(nowMs: TimeMs): void {
    const { transfer } = this;
    if (transfer === undefined || transfer.end !== undefined) return;
    transfer.lastReceivedMs += stoppedTimeMs(nowMs, transfer.idleAtMs(this.options.idleTimeoutMs));
    if (nowMs >= transfer.idleAtMs(this.options.idleTimeoutMs)) this.endBySilence(nowMs, transfer);
  }

  pollTransmit(): Transmit | undefined {
    return this.replies.pollTransmit();
  }

  pollTimeout(): TimeMs | undefined {
    const { transfer } = this;
    return transfer === undefined || transfer.end !== undefined
      ? undefined
      : transfer.idleAtMs(this.options.idleTimeoutMs);
  }

  pollEvent(): ReceiverEvent | undefined {
    return this.events.shift();
  }

  /**
   * Records that the shell has written every byte below this offset, and acknowledges the data if nothing is
   * left to write.
   */
  handleWritten(writtenBytes: number): void {
    const { transfer } = this;
    if (transfer === undefined) return;
    transfer.writtenBytes = writtenBytes;
    if (transfer.end === undefined && writtenBytes === transfer.sizeBytes) {
      this.replies.acknowledgeThrough(transfer, transfer.segmentCount);
    }
  }

  /** Acknowledges the end. Call it once the file is durable under its final name. */
  handleStored(nowMs: TimeMs): void {
    const { transfer } = this;
    assert(transfer?.end !== undefined, 'stored without an end');
    this.replies.acknowledgeEnd(transfer);
    this.close(nowMs, transfer, 'complete');
  }

  /** Notifies the sender that the shell could not store the file. The sender then fails this receiver. */
  handleStorageFailure(nowMs: TimeMs, reason: string): void {
    this.drop(nowMs, 'failed', reason);
  }

  /** Aborts the current transfer, if any. */
  abort(nowMs: TimeMs, reason: string): void {
    this.drop(nowMs, 'aborted', reason);
  }

  private drop(nowMs: TimeMs, status: 'failed' | 'aborted', reason: string): void {
    const { transfer } = this;
    if (transfer === undefined) return;
    this.replies.abort(transfer);
    this.fail(nowMs, transfer, status, reason);
  }

  // --- Data

  private handleDataPacket(
    nowMs: TimeMs,
    from: Address,
    packet: DataPacket,
    bytes: Uint8Array,
  ): void {
    const transfer = this.transferFrom(from);
    // Every packet shows that the sender is alive, even a packet that is dropped below.
    if (transfer !== undefined) transfer.lastReceivedMs = nowMs;
    // An identify request carries no data, so the loss service does not apply to it.
    if (isIdentifyMarker(packet)) {
      this.identify(nowMs, from, bytes);
      return;
    }
    this.dataPackets++;
    if (this.options.loss()) {
      this.losses++;
      this.events.push({ type: 'loss', sequence: packet.sequence });
      return;
    }
    if (isAbortMarker(packet)) {
      if (transfer !== undefined && transfer.end === undefined) {
        this.fail(nowMs, transfer, 'aborted', 'the sender stopped before the end');
      }
      return;
    }
    const check = checkPayload(packet);
    if (check === 'bad') {
      this.reject(nowMs, 'bad-checksum', from, bytes);
      transfer?.noteDamaged(packet);
      return;
    }
    if (check === 'good-odd-low') this.reject(nowMs, 'odd-byte-low', from, bytes);
    if (transfer !== undefined) this.handleCurrent(nowMs, transfer, packet, bytes);
    else this.handleOther(nowMs, from, packet, bytes);
  }

  private handleCurrent(
    nowMs: TimeMs,
    transfer: IncomingTransfer,
    packet: DataPacket,
    bytes: Uint8Array,
  ): void {
    if (packet.sequence !== transfer.segmentCount) {
      const isOld = packet.sequence < transfer.segmentCount;
      this.reject(nowMs, isOld ? 'duplicate' : 'out-of-sequence', transfer.from, bytes);
      transfer.noteOutOfSequence(nowMs, packet);
      this.replies.repeatLastAck(transfer);
    } else if (transfer.end !== undefined) {
      // The sender repeats its last packet while the file is being stored. The repeated ACK shows that this
      // receiver is alive.
      this.replies.repeatLastAck(transfer);
    } else if (packet.payload.length === 0) {
      this.finish(nowMs, transfer, 'end-marker', encodeAck(packet.sequence));
    } else {
      this.takeSegment(nowMs, transfer, packet, bytes);
    }
  }

  /** Answers an identify request from a sender whose transfer was accepted (PROTOCOL 5.9). */
  private identify(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const transfer = this.transferFrom(from);
    if (transfer !== undefined) {
      this.replies.send(from, encodeIdentifyAck(transfer.lastAcked));
      return;
    }
    const ended = this.ended.find(nowMs, from);
    if (ended === undefined || ended.isFailed) this.reject(nowMs, 'no-transfer', from, bytes);
    else this.replies.send(from, encodeIdentifyAck(ended.lastSequence));
  }

  private takeSegment(
    nowMs: TimeMs,
    transfer: IncomingTransfer,
    packet: DataPacket,
    bytes: Uint8Array,
  ): void {
    const { payload, sequence, isMarkedLast } = packet;
    if (
      transfer.sizeBytes - transfer.writtenBytes + payload.length >
      this.options.maxUnwrittenBytes
    ) {
      this.reject(nowMs, 'storage-busy', transfer.from, bytes);
      return;
    }
    const offsetBytes = transfer.sizeBytes;
    transfer.add(nowMs, packet);
    this.diagnoses.noteAccepted(transfer.from);
    const isUrgent = transfer.isLastShort || isMarkedLast;
    this.events.push({ type: 'write', offsetBytes, bytes: payload, isUrgent });
    // A short segment is the last one. Its ACK must wait until everything has been written (PROTOCOL 5.5).
    if (isMarkedLast) this.finish(nowMs, transfer, 'marked-last', encodeAck(sequence));
    else if (!isUrgent) this.replies.acknowledgeThrough(transfer, transfer.segmentCount);
  }

  private handleOther(nowMs: TimeMs, from: Address, packet: DataPacket, bytes: Uint8Array): void {
    if (this.answerForEnded(nowMs, from, packet, bytes)) return;
    const { transfer } = this;
    if (packet.sequence !== 0) {
      this.reject(nowMs, 'no-transfer', from, bytes);
    } else if (transfer === undefined) {
      this.open(nowMs, from, packet, bytes);
    } else {
      this.reject(nowMs, 'busy', from, bytes);
      const isSilent = nowMs - transfer.lastReceivedMs >= receiverDefaults.takeoverAfterMs;
      if (isSilent && transfer.end === undefined) this.endByTakeover(nowMs, transfer);
    }
  }

  private open(nowMs: TimeMs, from: Address, packet: DataPacket, bytes: Uint8Array): void {
    this.ended.forget(from);
    this.transfer = new IncomingTransfer(nowMs, from, packet);
    this.events.push({ type: 'open', from: formatAddress(from) });
    this.handleCurrent(nowMs, this.transfer, packet, bytes);
  }

  /**
   * Answers a late packet of an ended transfer by repeating the last answer.
   * @returns whether the packet belonged to an ended transfer
   */
  private answerForEnded(
    nowMs: TimeMs,
    from: Address,
    packet: DataPacket,
    bytes: Uint8Array,
  ): boolean {
    const ended = this.ended.find(nowMs, from);
    if (ended === undefined) return false;
    if (isNewTransfer(nowMs, ended, packet)) return false;
    if (ended.isFailed) {
      this.ended.touch(nowMs, ended);
      this.replies.send(from, encodeAbortAck(ended.lastSequence));
    } else if (ended.lastSequence !== undefined && packet.sequence <= ended.lastSequence) {
      this.reject(nowMs, 'duplicate', from, bytes);
      this.replies.acknowledge(from, ended.lastSequence);
    } else {
      this.reject(nowMs, 'after-end', from, bytes);
    }
    return true;
  }

  // --- The end

  private handleEndPacket(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const transfer = this.transferFrom(from);
    if (transfer !== undefined) {
      transfer.lastReceivedMs = nowMs;
      if (transfer.end === undefined) this.finish(nowMs, transfer, 'end-packet', copyHeader(bytes));
      return;
    }
    const ended = this.ended.find(nowMs, from);
    if (ended?.end !== 'end-packet' || ended.isFailed) {
      this.reject(nowMs, 'no-transfer', from, bytes);
    } else if (ended.endRepliesLeft === 0) {
      this.reject(nowMs, 'after-end', from, bytes);
    } else {
      ended.endRepliesLeft--;
      this.replies.send(from, copyHeader(bytes));
    }
  }

  private finish(
    nowMs: TimeMs,
    transfer: IncomingTransfer,
    end: TransferEnd,
    reply?: Uint8Array,
  ): void {
    transfer.end = end;
    transfer.endReply = reply;
    transfer.lastReceivedMs = nowMs;
    this.events.push({ type: 'finish', sizeBytes: transfer.sizeBytes });
  }

  private endBySilence(nowMs: TimeMs, transfer: IncomingTransfer): void {
    const { contradiction } = transfer;
    if (contradiction !== undefined) this.fail(nowMs, transfer, 'failed', contradiction);
    else if (this.options.mustEnd && !transfer.isLastShort) {
      const seconds = this.options.idleTimeoutMs / 1000;
      this.fail(nowMs, transfer, 'failed', `no data for ${seconds} s before the end of the file`);
    } else {
      this.finish(nowMs, transfer, 'silence');
    }
  }

  /**
   * Ends the transfer of a silent sender, because another sender is waiting. Keeps the file only if it is
   * complete.
   */
  private endByTakeover(nowMs: TimeMs, transfer: IncomingTransfer): void {
    const { contradiction } = transfer;
    if (contradiction !== undefined) this.fail(nowMs, transfer, 'failed', contradiction);
    else if (transfer.isLastShort) this.finish(nowMs, transfer, 'silence');
    else
      this.fail(
        nowMs,
        transfer,
        'failed',
        'the sender stopped responding, and another sender took over',
      );
  }

  private fail(
    nowMs: TimeMs,
    transfer: IncomingTransfer,
    status: 'failed' | 'aborted',
    reason: string,
  ): void {
    this.events.push({ type: 'discard' });
    this.close(nowMs, transfer, status, reason);
  }

  private close(
    nowMs: TimeMs,
    transfer: IncomingTransfer,
    status: TransferResult['status'],
    reason?: string,
  ): void {
    this.transfer = undefined;
    this.ended.add(nowMs, transfer.from, transfer.remembered(status !== 'complete'));
    const result = transfer.result(status, reason, {
      dataPackets: this.dataPackets,
      acksSent: this.replies.takeAckCount(),
      losses: this.losses,
      faults: this.faults.takeCounts(),
    });
    this.events.push({ type: 'done', result });
    this.dataPackets = 0;
    this.losses = 0;
  }

  private transferFrom(from: Address): IncomingTransfer | undefined {
    const { transfer } = this;
    return transfer !== undefined && sameAddress(transfer.from, from) ? transfer : undefined;
  }

  private reject(nowMs: TimeMs, kind: FaultKind, from: Address, bytes: Uint8Array): void {
    this.faults.add(kind, from, bytes);
    this.diagnoses.add(nowMs, kind, from, bytes, this.transferFrom(from));
  }
}
