/**
 * A sender and receivers on a simulated network that a test controls: it sees every datagram, and passes, changes,
 * drops, or adds datagrams. Nothing is lost unless the test drops it, and disks take no time.
 */
import type { Address } from '../../src/base/address.js';
import type { Machine, TimeMs } from '../../src/base/machine.js';
import { withoutUndefined } from '../../src/base/without-undefined.js';
import type { EndpointEvent } from '../../src/endpoint/endpoint.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { encodeManifest } from '../../src/object/manifest.js';
import { MemorySource } from '../../src/object/memory-source.js';
import type { MemoryStoresOptions } from '../../src/object/memory-store.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { SourceDriver } from '../../src/session/drivers/source-driver.js';
import { StoreDriver } from '../../src/session/drivers/store-driver.js';
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
import type { Role, SimulatedHost } from '../../src/simulator/host.js';
import { createManifestOfFiles, simulatedGroup } from '../../src/simulator/roles/session-sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { Passing as PassingBetween } from '../../src/simulator/simulation.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';
import type { FaultCounts } from '../../src/wire/faults.js';

export const senderAddress: Address = Simulation.address('192.0.2.1');
export const strangerAddress: Address = Simulation.address('203.0.113.9');

export const receiverAddress = (index: number): Address =>
  Simulation.address(`192.0.2.${10 + index}`);

type Place = 'sender' | number;

interface WiredHost {
  readonly host: SimulatedHost;
  readonly place: Place;
  readonly address: Address;
}

/** A datagram in flight. */
export interface Passing {
  readonly from: Address;
  /** The sender, a receiver by index, or an address where no host is. */
  readonly to: Place | 'nowhere';
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
  /** What is on the disks of receivers before the session; nothing by default. */
  readonly initialContent?: MemoryStoresOptions['initialContent'];
  /** The cryptography of a host by its name: `sender`, `r0`, `r1`, ...; simulated by default. */
  readonly cryptoOf?: (name: string) => SessionCrypto;
  /** @returns why a receiver is not trusted */
  readonly refuseReceiver?: (receiverKey: Uint8Array) => string | undefined;
  /** @returns the datagrams that arrive instead of this one */
  readonly attack?: (passing: Passing, wire: SessionWire) => readonly Uint8Array[];
  readonly untilMs?: TimeMs;
}

/** A run that needs more steps is stuck. */
const maxSteps = 300_000;
const delayMs = 1;

/** A receiver with an instantaneous disk. */
export class WiredReceiver implements Role<EndpointEvent<never>> {
  readonly address: Address;
  readonly machine: SessionReceiver;
  readonly events: SessionReceiverEvent[] = [];
  readonly results: IncomingResult[] = [];
  private readonly stores: MemoryStores;
  private driver: StoreDriver | undefined;

  constructor(
    readonly index: number,
    private readonly wire: SessionWire,
    options: SessionReceiverOptions,
    disk: Pick<MemoryStoresOptions, 'initialContent'>,
  ) {
    this.address = receiverAddress(index);
    this.machine = new SessionReceiver(options);
    this.stores = new MemoryStores({ hash: options.crypto.hash, ...disk });
  }

  get faults(): FaultCounts {
    return this.machine.result().faults;
  }

  /** The content of the last finished session. */
  get content(): Buffer {
    const { manifestDigest = '' } = this.results.at(-1) ?? {};
    const blocks = [...(this.stores.blocksOf(manifestDigest) ?? [])];
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

  boot(host: SimulatedHost): Endpoint {
    this.driver = new StoreDriver(this.machine, this.stores, host);
    return new Endpoint({ receiver: this.machine });
  }

  handleEvent(happened: EndpointEvent<never>): void {
    if (happened.role !== 'receiver') return;
    const { event } = happened;
    this.events.push(event);
    this.driver?.handleEvent(event);
    if (event.type === 'end') this.results.push(event.result);
  }
}

/** Four segments of 200 bytes. */
const smallBlockSizeBytes = 4 * 200 - 16;

export class SessionWire {
  readonly content: Buffer;
  readonly sender: SessionSender;
  readonly receivers: WiredReceiver[] = [];
  /** Every datagram as sent. */
  readonly log: Passing[] = [];
  readonly senderEvents: SessionSenderEvent[] = [];
  readonly outcomes: SessionReceiverOutcome[] = [];
  result: SessionSenderResult | undefined;
  private readonly simulation: Simulation;
  private readonly hosts = new Map<string, WiredHost>();
  /** Number of datagrams on the way to a host. */
  private inFlight = 0;
  /** Collects what hosts send, instead of passing it on. */
  private caught: Uint8Array[] | undefined;

  constructor(private readonly options: WireOptions = {}) {
    const { seed = 'wire', receiverCount = 1, sizeBytes = 4000, fileCount = 1 } = options;
    this.simulation = new Simulation({ seed, intercept: (passing) => this.pass(passing) });
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
      ...(options.hasGroup === true ? { group: Simulation.address(simulatedGroup) } : {}),
      ...options.sender,
      ...options.senderFor?.(this.receivers),
    });
  }

  get nowMs(): TimeMs {
    return this.simulation.nowMs;
  }

  /** Adds a receiver, or restarts the one with this index. */
  addReceiver(index: number, crypto = this.cryptoOf(`r${index}`)): WiredReceiver {
    const { initialContent, groupReaches = () => true } = this.options;
    const options: SessionReceiverOptions = {
      crypto,
      name: `r${index}`,
      platform: 'posix',
      refuseSender: () => undefined,
      blockSizeBytes: smallBlockSizeBytes,
      ...this.options.receiver,
    };
    const receiver = new WiredReceiver(index, this, options, withoutUndefined({ initialContent }));
    this.receivers[index] = receiver;
    const { host: name } = receiver.address;
    const older = this.hosts.get(name)?.host;
    older?.inject('kill');
    older?.inject('start');
    if (older !== undefined) return receiver;
    // The role of the receiver that is there now.
    this.addHost(receiver.address, index, {
      boot: (host) => (this.receivers[index] as WiredReceiver).boot(host),
      handleEvent: (event) => this.receivers[index]?.handleEvent(event),
    });
    if (groupReaches(index)) this.simulation.joinGroup(simulatedGroup, name);
    return receiver;
  }

  /** Runs until the sender is done and nothing is in flight, or until this time. */
  run(untilMs: TimeMs = this.options.untilMs ?? Infinity): this {
    if (!this.hosts.has(senderAddress.host)) this.startSender();
    for (const { host } of this.hosts.values()) host.drain();
    const { simulation } = this;
    const isOver = () => this.isOver || simulation.steps > maxSteps;
    simulation.run({ untilMs, isOver });
    if (simulation.steps > maxSteps) throw new Error(`not over after ${maxSteps} steps`);
    return this;
  }

  /** Lets time pass to this moment. The sender begins only when `run` is first called. */
  passTo(atMs: TimeMs): void {
    this.simulation.at(atMs, () => undefined);
    this.simulation.run({ untilMs: atMs });
  }

  /** From now on, multicast reaches no receiver. */
  cutMulticast(): void {
    for (const name of this.hosts.keys()) this.simulation.leaveGroup(simulatedGroup, name);
  }

  /** Delivers a datagram to a host now. @returns its replies, which are not delivered */
  ask(to: Place, from: Address, bytes: Uint8Array): Uint8Array[] {
    const replies: Uint8Array[] = [];
    this.caught = replies;
    this.deliver(to, from, bytes);
    this.caught = undefined;
    return replies;
  }

  /** Puts a datagram on the wire that arrives immediately. */
  inject(to: Place, from: Address, bytes: Uint8Array): void {
    this.inFlight++;
    this.simulation.at(this.nowMs, () => {
      this.inFlight--;
      this.deliver(to, from, bytes);
    });
  }

  outcomeOf(index: number): SessionReceiverOutcome | undefined {
    return this.outcomes.find(({ receiver }) => receiver === `r${index}`);
  }

  private get isOver(): boolean {
    const { sender, receivers, inFlight } = this;
    return inFlight === 0 && sender.isDone && receivers.every(({ machine }) => machine.isIdle);
  }

  private cryptoOf(name: string): SessionCrypto {
    const { cryptoOf, seed = 'wire' } = this.options;
    return cryptoOf?.(name) ?? createSimulatedCrypto(seed, name);
  }

  private startSender(): void {
    let driver: SourceDriver | undefined;
    this.addHost(senderAddress, 'sender', {
      boot: (host): Machine<SessionSenderEvent> => {
        driver = new SourceDriver(MemorySource.of(this.content), host);
        return this.sender;
      },
      handleEvent: (event) => {
        driver?.handleEvent(this.sender, event);
        this.handleSenderEvent(event);
      },
    });
  }

  private addHost<Event extends object>(address: Address, place: Place, role: Role<Event>): void {
    const { simulation } = this;
    const { host: name } = address;
    const handleTaken = () => {
      this.inFlight--;
    };
    const host = simulation.addRole(name, { ...role, handleTaken });
    for (const other of this.hosts.keys()) {
      simulation.connect(name, other, [simulation.createLink(`${name} ${other}`, { delayMs })]);
      simulation.connect(other, name, [simulation.createLink(`${other} ${name}`, { delayMs })]);
    }
    this.hosts.set(name, { host, place, address });
  }

  private deliver(to: Place, from: Address, bytes: Uint8Array): void {
    const { host } = to === 'sender' ? senderAddress : receiverAddress(to);
    this.inFlight++;
    this.hosts.get(host)?.host.receive(from, bytes);
  }

  /** @returns what arrives instead of the datagram */
  private pass({ atMs, from, to, bytes }: PassingBetween): readonly Uint8Array[] {
    const { caught } = this;
    if (caught !== undefined) {
      caught.push(bytes.slice());
      return [];
    }
    const { hosts } = this;
    const { address = Simulation.address(from) } = hosts.get(from) ?? {};
    const place = hosts.get(to)?.place ?? 'nowhere';
    const passing: Passing = { from: address, to: place, bytes: bytes.slice(), atMs };
    this.log.push(passing);
    const arriving = this.options.attack?.(passing, this) ?? [passing.bytes];
    if (place !== 'nowhere') this.inFlight += arriving.length;
    return arriving;
  }

  private handleSenderEvent(event: SessionSenderEvent): void {
    this.senderEvents.push(event);
    if (event.type === 'identify') {
      const refusal = this.options.refuseReceiver?.(event.receiverKey);
      this.sender.trust(this.nowMs, event.index, refusal);
    } else if (event.type === 'receiver') this.outcomes.push(event.outcome);
    else if (event.type === 'done') this.result = event.result;
  }
}
