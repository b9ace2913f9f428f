/**
 * A sender and receivers on a wire that a test controls: it sees every datagram in virtual time,
 * and passes, changes, drops, or adds datagrams. Nothing is lost unless the test drops it.
 */
import { type Address, formatAddress } from '../../src/base/address.js';
import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';
import { datagramsOf } from '../../src/base/machine.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { encodeManifest } from '../../src/object/manifest.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../src/session/receiver-events.js';
import type { SessionReceiverOptions } from '../../src/session/receiver-options.js';
import { SessionSender } from '../../src/session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
  SessionSenderResult,
} from '../../src/session/sender-events.js';
import type { SessionSenderOptions } from '../../src/session/sender-options.js';
import { createManifestOfFiles } from '../../src/simulator/roles/session-sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';
import type { FaultCounts } from '../../src/wire/faults.js';

export const senderAddress: Address = { host: '192.0.2.1', port: 4000 };
export const strangerAddress: Address = { host: '203.0.113.9', port: 999 };
const group: Address = { host: '239.128.0.1', port: 7735 };

export const receiverAddress = (index: number): Address => ({
  host: `192.0.2.${10 + index}`,
  port: 7735,
});

/** A datagram in flight. */
export interface Passing {
  readonly from: Address;
  /** The sender, or a receiver by index. */
  readonly to: 'sender' | number;
  readonly bytes: Uint8Array;
  readonly atMs: TimeMs;
}

export interface WireOptions {
  readonly seed?: string;
  readonly receiverCount?: number;
  readonly sizeBytes?: number;
  /** With many files, the manifest does not fit into the offer. */
  readonly fileCount?: number;
  readonly hasGroup?: boolean;
  /** Which receivers multicast reaches; all by default. */
  readonly groupReaches?: (index: number) => boolean;
  readonly sender?: Partial<SessionSenderOptions>;
  /** Further options of the sender, for example invitations that these receivers make. */
  readonly senderFor?: (receivers: readonly WiredReceiver[]) => Partial<SessionSenderOptions>;
  readonly receiver?: Partial<SessionReceiverOptions>;
  /** The cryptography of a host by its name: `sender`, `r0`, `r1`, ...; simulated by default. */
  readonly cryptoOf?: (name: string) => SessionCrypto;
  /** @returns why a receiver is not trusted */
  readonly refuseReceiver?: (receiverKey: Uint8Array) => string | undefined;
  /** @returns the datagrams that arrive instead of this one */
  readonly attack?: (passing: Passing, wire: SessionWire) => readonly Uint8Array[];
  readonly untilMs?: TimeMs;
}

/** A run that needs more turns is stuck. */
const maxTurns = 100_000;
const delayMs = 1;

/** A receiver with an instantaneous disk. */
export class WiredReceiver {
  readonly address: Address;
  /** Divides datagrams that arrive together. */
  readonly endpoint: Endpoint;
  readonly events: SessionReceiverEvent[] = [];
  readonly results: IncomingResult[] = [];
  /** Stored blocks by session and offset. */
  private readonly stored = new Map<number, Map<number, Uint8Array>>();

  constructor(
    readonly index: number,
    readonly machine: SessionReceiver,
    private readonly wire: SessionWire,
  ) {
    this.address = receiverAddress(index);
    this.endpoint = new Endpoint({ receiver: machine });
  }

  get faults(): FaultCounts {
    return this.machine.result().faults;
  }

  /** The content of the last finished session. */
  get content(): Buffer {
    const blocks = [...(this.stored.get(this.results.at(-1)?.session ?? -1) ?? [])];
    return Buffer.concat(blocks.sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }

  /** Whether a session completed, and the content is right. */
  get isIdentical(): boolean {
    return this.results.at(-1)?.status === 'complete' && this.content.equals(this.wire.content);
  }

  /** The number of handshakes and sessions that it keeps. */
  get kept(): number {
    return this.machine['handshakes'].count + this.machine['sessions'].size;
  }

  handleEvent(event: SessionReceiverEvent): void {
    const { machine, wire } = this;
    this.events.push(event);
    switch (event.type) {
      case 'prepare':
        machine.find(event.info.session)?.prepared(wire.nowMs, [], []);
        break;
      case 'write': {
        const blocks = this.stored.get(event.session) ?? new Map<number, Uint8Array>();
        this.stored.set(event.session, blocks.set(event.offsetBytes, event.bytes));
        machine.handleWritten(wire.nowMs, event.session, event.bytes.length);
        break;
      }
      case 'finish':
        machine.find(event.session)?.handleStored(wire.nowMs);
        break;
      case 'end':
        this.results.push(event.result);
        break;
    }
  }
}

/** Four segments of 200 bytes. */
const smallBlockSizeBytes = 4 * 200 - 16;

export class SessionWire {
  nowMs: TimeMs = 0;
  readonly content: Buffer;
  readonly sender: SessionSender;
  readonly receivers: WiredReceiver[] = [];
  /** Every datagram as sent. */
  readonly log: Passing[] = [];
  readonly senderEvents: SessionSenderEvent[] = [];
  readonly outcomes: SessionReceiverOutcome[] = [];
  result: SessionSenderResult | undefined;
  private readonly arrivals: Passing[] = [];

  constructor(private readonly options: WireOptions = {}) {
    const { seed = 'wire', receiverCount = 1, sizeBytes = 4000, fileCount = 1 } = options;
    this.content = Buffer.from(createContent(seed, sizeBytes));
    for (let i = 0; i < receiverCount; i++) this.addReceiver(i);
    this.sender = new SessionSender({
      label: 'wired',
      receivers: this.receivers.map(({ index, address }) => ({ name: `r${index}`, address })),
      manifest: encodeManifest(createManifestOfFiles(sizeBytes, fileCount)),
      contentSizeBytes: sizeBytes,
      crypto: this.cryptoOf('sender'),
      mssBytes: 200,
      blockSizeBytes: smallBlockSizeBytes,
      ...(options.hasGroup === true ? { group } : {}),
      ...options.sender,
      ...options.senderFor?.(this.receivers),
    });
  }

  /** Adds a receiver, or restarts the one with this index. */
  addReceiver(index: number, crypto = this.cryptoOf(`r${index}`)): WiredReceiver {
    const machine = new SessionReceiver({
      crypto,
      name: `r${index}`,
      platform: 'posix',
      refuseSender: () => undefined,
      blockSizeBytes: smallBlockSizeBytes,
      ...this.options.receiver,
    });
    const receiver = new WiredReceiver(index, machine, this);
    this.receivers[index] = receiver;
    return receiver;
  }

  /** Runs until the sender is done and nothing is in flight, or until this time. */
  run(untilMs: TimeMs = this.options.untilMs ?? Infinity): this {
    for (let turn = 0; turn < maxTurns; turn++) {
      this.drain();
      const isOver = this.sender.isDone && this.receivers.every(({ machine }) => machine.isIdle);
      if (isOver && this.arrivals.length === 0) return this;
      const atMs = this.nextMs();
      if (atMs === undefined || atMs > untilMs) return this;
      this.nowMs = Math.max(this.nowMs, atMs);
      this.turn();
    }
    throw new Error(`not over after ${maxTurns} turns`);
  }

  /** Delivers a datagram to a host now. @returns its replies, which are not delivered */
  ask(to: 'sender' | number, from: Address, bytes: Uint8Array): Uint8Array[] {
    const machine = this.machineOf(to);
    machine.handleDatagram(this.nowMs, from, bytes);
    this.drainEvents();
    return transmitsOf(machine, this.nowMs).flatMap((transmit) => [...datagramsOf(transmit)]);
  }

  /** Puts a datagram on the wire that arrives immediately. */
  inject(to: 'sender' | number, from: Address, bytes: Uint8Array): void {
    const later = this.arrivals.findIndex(({ atMs }) => atMs > this.nowMs);
    const place = later < 0 ? this.arrivals.length : later;
    this.arrivals.splice(place, 0, { from, to, bytes, atMs: this.nowMs });
  }

  outcomeOf(index: number): SessionReceiverOutcome | undefined {
    return this.outcomes.find(({ receiver }) => receiver === `r${index}`);
  }

  private cryptoOf(name: string): SessionCrypto {
    const { cryptoOf, seed = 'wire' } = this.options;
    return cryptoOf?.(name) ?? createSimulatedCrypto(seed, name);
  }

  private machineOf(to: 'sender' | number): Machine<object> {
    const receiver = to === 'sender' ? undefined : this.receivers[to];
    return receiver?.endpoint ?? this.sender;
  }

  private turn(): void {
    const due: Passing[] = [];
    while ((this.arrivals[0]?.atMs ?? Infinity) <= this.nowMs) {
      due.push(this.arrivals.shift() as Passing);
    }
    for (const { from, to, bytes } of due) {
      this.machineOf(to).handleDatagram(this.nowMs, from, bytes);
    }
    for (const machine of [this.sender, ...this.receivers.map((one) => one.machine)]) {
      if ((machine.pollTimeout() ?? Infinity) <= this.nowMs) machine.handleTimeout(this.nowMs);
    }
  }

  private nextMs(): TimeMs | undefined {
    const times = [this.sender, ...this.receivers.map(({ machine }) => machine)]
      .map((machine) => machine.pollTimeout())
      .concat(this.arrivals[0]?.atMs)
      .filter((atMs) => atMs !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  private drain(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = this.drainEvents();
      for (const transmit of transmitsOf(this.sender, this.nowMs)) {
        isBusy = true;
        for (const bytes of datagramsOf(transmit)) {
          for (const to of this.reachedAt(transmit.to)) this.pass(senderAddress, to, bytes);
        }
      }
      for (const { machine, address } of this.receivers) {
        for (const transmit of transmitsOf(machine, this.nowMs)) {
          isBusy = true;
          for (const bytes of datagramsOf(transmit)) this.pass(address, 'sender', bytes);
        }
      }
    }
  }

  private drainEvents(): boolean {
    let isBusy = false;
    const { sender } = this;
    for (let event = sender.pollEvent(); event !== undefined; event = sender.pollEvent()) {
      isBusy = true;
      this.handleSenderEvent(event);
    }
    for (const receiver of this.receivers) {
      const { machine } = receiver;
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        isBusy = true;
        receiver.handleEvent(event);
      }
    }
    return isBusy;
  }

  private handleSenderEvent(event: SessionSenderEvent): void {
    const { sender, nowMs, content } = this;
    this.senderEvents.push(event);
    switch (event.type) {
      case 'need': {
        const { block, offsetBytes, sizeBytes } = event;
        sender.provideBlock(nowMs, block, content.subarray(offsetBytes, offsetBytes + sizeBytes));
        break;
      }
      case 'identify':
        sender.trust(nowMs, event.index, this.options.refuseReceiver?.(event.receiverKey));
        break;
      case 'check-source':
        sender.confirmSource(nowMs);
        break;
      case 'receiver':
        this.outcomes.push(event.outcome);
        break;
      case 'done':
        this.result = event.result;
        break;
    }
  }

  private reachedAt(to: Address): number[] {
    const isGroup = formatAddress(to) === formatAddress(group);
    const { groupReaches = () => true } = this.options;
    return this.receivers
      .filter(({ index, address }) =>
        isGroup ? groupReaches(index) : formatAddress(address) === formatAddress(to),
      )
      .map(({ index }) => index);
  }

  private pass(from: Address, to: 'sender' | number, bytes: Uint8Array): void {
    const passing: Passing = { from, to, bytes: bytes.slice(), atMs: this.nowMs };
    this.log.push(passing);
    const arriving = this.options.attack?.(passing, this) ?? [passing.bytes];
    const atMs = this.nowMs + delayMs;
    for (const each of arriving) this.arrivals.push({ from, to, bytes: each, atMs });
  }
}

function transmitsOf(machine: Machine<object>, nowMs: TimeMs): Transmit[] {
  const transmits: Transmit[] = [];
  for (let next = machine.pollTransmit(nowMs); next !== undefined; ) {
    // The memory of a batch is reused.
    transmits.push({ ...next, bytes: next.bytes.slice() });
    next = machine.pollTransmit(nowMs);
  }
  return transmits;
}
