/** A receiver driven by hand in virtual time, with a disk as fast as the test requires. */

import { Runner, type TimeMs } from '../../src/base/machine.js';
import type { ReceiverEvent, TransferResult } from '../../src/classic/receiver-events.js';
import type { ReceiverOptions } from '../../src/classic/receiver-options.js';
import type { LossModel } from '../../src/loss.js';
import {
  abortMark,
  decode,
  encodeAbort,
  encodeData,
  identifyMark,
  type Packet,
} from '../../src/packet.js';
import { Receiver } from '../../src/receiver.js';

export interface DrivenReceiverOptions extends ReceiverOptions {
  /** Whether bytes are written, and files synced, immediately; the default. */
  readonly writesAtOnce?: boolean;
  readonly storesAtOnce?: boolean;
}

/** The source address of the sender with this name. */
export function senderAddress(name: string) {
  return { host: name, port: 5000 };
}

export class DrivenReceiver {
  readonly receiver: Receiver;
  readonly events: ReceiverEvent[] = [];
  /** The bytes passed to the writer in the current transfer. */
  text = '';
  nowMs: TimeMs = 0;

  private readonly runner: Runner<ReceiverEvent>;
  private sent: string[] = [];
  private sentHex: string[] = [];

  constructor(private readonly options: DrivenReceiverOptions = {}) {
    this.receiver = new Receiver(options);
    this.runner = new Runner(this.receiver, {
      now: () => this.nowMs,
      canTransmit: () => true,
      transmit: ({ to, bytes }) => {
        const packet = decode(bytes);
        const line = typeof packet === 'string' ? packet : nameOf(packet);
        this.sent.push(`${to.host} ${line}`);
        this.sentHex.push(Buffer.from(bytes).toString('hex'));
      },
      handleEvent: (event) => this.handleEvent(event),
      scheduleTimeout: () => {},
    });
  }

  /** Datagrams sent since the last call: `s ack 0`. */
  takeSent(): string[] {
    const { sent } = this;
    this.sent = [];
    this.sentHex = [];
    return sent;
  }

  /** The same in hexadecimal. */
  takeSentHex(): string[] {
    const { sentHex } = this;
    this.takeSent();
    return sentHex;
  }

  receive(from: string, bytes: Uint8Array): void {
    this.runner.handleDatagram(senderAddress(from), bytes);
  }

  /** Receives a datagram given in hexadecimal; blanks are allowed. */
  receiveHex(from: string, hex: string): void {
    this.receive(from, Buffer.from(hex.replaceAll(' ', ''), 'hex'));
  }

  /** Receives a data packet with this text; without text, the end marker. */
  data(from: string, sequence: number, text: string): void {
    this.receive(from, encodeData(sequence, Buffer.from(text)));
  }

  end(from: string, sequence: number): void {
    this.data(from, sequence, '');
  }

  abortMarker(from: string, sequence: number): void {
    this.receive(from, encodeAbort(sequence));
  }

  /** Receives a data packet with a wrong checksum. */
  damaged(from: string, sequence: number, text: string): void {
    const bytes = encodeData(sequence, Buffer.from(text));
    bytes[8] = (bytes[8] ?? 0) ^ 1;
    this.receive(from, bytes);
  }

  /** Advances time to this moment, and handles each timeout when it is due. */
  passTo(atMs: TimeMs): void {
    for (;;) {
      const timeoutAtMs = this.receiver.pollTimeout();
      if (timeoutAtMs === undefined || timeoutAtMs > atMs) break;
      this.nowMs = Math.max(this.nowMs, timeoutAtMs);
      this.runner.handleTimeout();
    }
    this.nowMs = atMs;
  }

  written(writtenBytes = this.text.length): void {
    this.receiver.handleWritten(writtenBytes);
    this.runner.drain();
  }

  stored(): void {
    this.receiver.handleStored(this.nowMs);
    this.runner.drain();
  }

  storageFails(reason: string): void {
    this.receiver.handleStorageFailure(this.nowMs, reason);
    this.runner.drain();
  }

  /** Types of the events since the last call, except reports of loss and faults. */
  takeEventTypes(): string[] {
    const types = this.events.splice(0).map(({ type }) => type as string);
    return types.filter((type) => type !== 'loss' && type !== 'fault');
  }

  eventsOf<T extends ReceiverEvent['type']>(type: T): Extract<ReceiverEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<
      ReceiverEvent,
      { type: T }
    >[];
  }

  get results(): TransferResult[] {
    return this.eventsOf('done').map(({ result }) => result);
  }

  private handleEvent(event: ReceiverEvent): void {
    this.events.push(event);
    const { writesAtOnce = true, storesAtOnce = true } = this.options;
    if (event.type === 'open') this.text = '';
    else if (event.type === 'write') {
      if (event.offsetBytes !== this.text.length) throw new Error('a write leaves a gap');
      this.text += Buffer.from(event.bytes).toString('latin1');
      if (writesAtOnce) this.receiver.handleWritten(this.text.length);
    } else if (event.type === 'finish' && storesAtOnce) this.receiver.handleStored(this.nowMs);
  }
}

/** A loss service that drops data packets by arrival number, and counts its draws. */
export function countedLoss(lost: readonly number[] = []): LossModel & { draws: number } {
  const model = () => lost.includes(model.draws++);
  model.draws = 0;
  return model;
}

const marks = new Map([
  [abortMark, 'abort ack'],
  [identifyMark, 'p2mp ack'],
]);

function nameOf(packet: Packet): string {
  const mark = packet.kind === 'ack' ? marks.get(packet.reserved) : undefined;
  return `${mark ?? packet.kind} ${packet.sequence}`;
}
