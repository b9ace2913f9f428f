/** A sender driven by hand in virtual time; each datagram it sends is kept as a line of text. */
import type { Address } from '../../src/base/address.js';
import { Runner, type TimeMs } from '../../src/base/machine.js';
import type {
  ReceiverOutcome,
  SenderEvent,
  SenderResult,
} from '../../src/classic/sender-events.js';
import type { SenderOptions } from '../../src/classic/sender-options.js';
import { decode, encodeAck, isAbortMarker, isIdentifyMarker } from '../../src/packet.js';
import { Sender } from '../../src/sender.js';

export interface DrivenSenderOptions extends Omit<SenderOptions, 'receivers'> {
  /** One letter per receiver, used as its name and its host. */
  readonly receivers: string;
  /** Second hosts of receivers, by receiver name. */
  readonly otherHosts?: Readonly<Record<string, string>>;
  /** Whether requested bytes are provided at once; otherwise `answerNeeds` provides them. */
  readonly isSourceFast?: boolean;
  /** Whether the source is confirmed as soon as the sender asks. */
  readonly confirmsSource?: boolean;
}

export const port = 7735;

export class DrivenSender {
  readonly sender: Sender;
  readonly events: SenderEvent[] = [];
  nowMs: TimeMs = 0;

  private readonly runner: Runner<SenderEvent>;
  /** Hosts that were asked to identify themselves; these datagrams do not count as sent. */
  readonly questions: string[] = [];
  private sent: string[] = [];
  private sentBytes: Uint8Array[] = [];
  private readonly needs: Extract<SenderEvent, { type: 'need' }>[] = [];

  constructor(private readonly options: DrivenSenderOptions) {
    const { otherHosts = {}, ...senderOptions } = options;
    this.sender = new Sender({
      ...senderOptions,
      receivers: [...options.receivers].map((name) => {
        const other = otherHosts[name];
        const otherAddresses = other === undefined ? [] : [{ host: other, port }];
        return { name, address: { host: name, port }, otherAddresses };
      }),
    });
    this.runner = new Runner(this.sender, {
      now: () => this.nowMs,
      canTransmit: () => true,
      transmit: ({ to, bytes }) => {
        if (isQuestion(bytes)) {
          this.questions.push(to.host);
          return;
        }
        this.sent.push(`${to.host} ${nameDatagram(bytes)}`);
        this.sentBytes.push(bytes);
      },
      handleEvent: (event) => this.handleEvent(event),
      scheduleTimeout: () => {},
    });
    this.runner.drain();
  }

  /** Datagrams sent since the last call: `a data 0`, `b end 7`, `c abort 3`. */
  takeSent(): string[] {
    const { sent } = this;
    this.sent = [];
    this.sentBytes = [];
    return sent;
  }

  /** The same in hexadecimal. */
  takeSentHex(): string[] {
    const { sentBytes } = this;
    this.takeSent();
    return sentBytes.map((bytes) => Buffer.from(bytes).toString('hex'));
  }

  ack(from: string, sequence: number): void {
    this.receive({ host: from, port }, encodeAck(sequence));
  }

  ackAll(sequence: number): void {
    for (const name of this.options.receivers) this.ack(name, sequence);
  }

  receive(from: Address, bytes: Uint8Array): void {
    this.runner.handleDatagram(from, bytes);
  }

  receiveHex(from: string, hex: string): void {
    this.receive({ host: from, port }, Buffer.from(hex, 'hex'));
  }

  refuse(index: number, at: Address): void {
    this.sender.handleRefusal(this.nowMs, index, at, { code: 'port-closed' });
    this.runner.drain();
  }

  /** Advances time to this moment, and handles each timeout when it is due. */
  passTo(atMs: TimeMs): void {
    for (;;) {
      const timeoutAtMs = this.sender.pollTimeout();
      if (timeoutAtMs === undefined || timeoutAtMs > atMs) break;
      if (timeoutAtMs < this.nowMs) throw new Error(`asked to be called in the past`);
      this.nowMs = timeoutAtMs;
      this.runner.handleTimeout();
    }
    this.nowMs = atMs;
  }

  answerNeeds(): void {
    for (const need of this.needs.splice(0)) this.provide(need);
    this.runner.drain();
  }

  confirmSource(): void {
    this.sender.confirmSource(this.nowMs);
    this.runner.drain();
  }

  abort(reason: string): void {
    this.sender.abort(this.nowMs, reason);
    this.runner.drain();
  }

  eventsOf<T extends SenderEvent['type']>(type: T): Extract<SenderEvent, { type: T }>[] {
    return this.events.filter((event) => event.type === type) as Extract<
      SenderEvent,
      { type: T }
    >[];
  }

  outcome(name: string): ReceiverOutcome | undefined {
    return this.eventsOf('receiver').find(({ outcome }) => outcome.receiver === name)?.outcome;
  }

  get result(): SenderResult | undefined {
    return this.eventsOf('done')[0]?.result;
  }

  private handleEvent(event: SenderEvent): void {
    this.events.push(event);
    const { isSourceFast = true, confirmsSource = true } = this.options;
    if (event.type === 'need') {
      if (isSourceFast) this.provide(event);
      else this.needs.push(event);
    } else if (event.type === 'check-source' && confirmsSource) {
      this.sender.confirmSource(this.nowMs);
    }
  }

  private provide(need: Extract<SenderEvent, { type: 'need' }>): void {
    const { blockIndex, offsetBytes, sizeBytes } = need;
    // The letters of the alphabet, repeated: legible in a hex dump.
    const bytes = Uint8Array.from({ length: sizeBytes }, (_, i) => 0x61 + ((offsetBytes + i) % 26));
    this.sender.provideBlock(this.nowMs, blockIndex, bytes);
  }
}

/** Whether a datagram asks a receiver to identify itself; such datagrams carry no data. */
export function isQuestion(bytes: Uint8Array): boolean {
  const packet = decode(bytes);
  return typeof packet !== 'string' && packet.kind === 'data' && isIdentifyMarker(packet);
}

function nameDatagram(bytes: Uint8Array): string {
  const packet = decode(bytes);
  if (typeof packet === 'string') return packet;
  if (packet.kind !== 'data') return `${packet.kind} ${packet.sequence}`;
  if (isAbortMarker(packet)) return `abort ${packet.sequence}`;
  return `${packet.payload.length === 0 ? 'end' : 'data'} ${packet.sequence}`;
}
