/**
 * A simulated host that sends, receives, serves and asks for any number of objects at once on one port, and receives by
 * P2MP-FTP beside that. A host that is killed and started again sends its objects again, asks again for what it does
 * not have, and resumes what it receives.
 */
import type { Machine } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ReceiverEvent } from '../../classic/receiver-events.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import { encodeManifest } from '../../object/manifest.js';
import { MemorySource } from '../../object/memory-source.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { WithdrawnEntry } from '../../object/withdrawn-content.js';
import { sealOriginAnswer } from '../../security/envelope.js';
import { AskListener } from '../../session/asks/ask-listener.js';
import { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { StoreDriver } from '../../session/drivers/store-driver.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../session/receiver-events.js';
import { SessionSender } from '../../session/sender.js';
import type { SessionSenderEvent, SessionSenderResult } from '../../session/sender-events.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import type { Behind } from '../../wire/relayed.js';
import type { Role, SimulatedHost } from '../host.js';
import { createMachineCrypto, simulatedKey } from '../session-crypto.js';
import { Simulation } from '../simulation.js';
import { type ServedObject, Serving } from './serving.js';
import { createManifestOfFiles, simulatedGroup } from './session-sender.js';

/** An object that a host sends in a session of its own. */
export interface SimulatedObject {
  readonly label: string;
  readonly content: Uint8Array;
  /** Addresses of the receivers. */
  readonly to: readonly string[];
  /** Number of files of equal size; 1 by default. */
  readonly fileCount?: number;
}

/** An object that a host asks another host for. */
export interface SimulatedAsk {
  /** The address of the host to ask. */
  readonly of: string;
  /** Further addresses of that host. */
  readonly furtherAddresses?: readonly string[];
  /** The object's name; undefined for the list of objects. */
  readonly name?: string;
  readonly atMs?: number;
}

export interface EndpointRoleOptions {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  readonly objects?: readonly SimulatedObject[];
  /** What other hosts can ask for. */
  readonly serves?: readonly ServedObject[];
  /** @returns why not to take an object of the owner of this key */
  readonly refuseSender?: (senderKey: Uint8Array) => string | undefined;
  /** @returns why not to take objects that the owner of this key relays; by default, all relays are trusted */
  readonly refuseRelay?: (relayKey: Uint8Array) => string | undefined;
  /** @returns why not to trust a receiver behind a relay */
  readonly refuseBehind?: (receiver: string, receiverKey: Uint8Array) => string | undefined;
  /** @returns why a host with this key may not ask for anything */
  readonly refuseAsker?: (askerKey: Uint8Array) => string | undefined;
  /** @returns why not to take anything from a host with this key */
  readonly refuseServer?: (serverKey: Uint8Array) => string | undefined;
  /** Time that the host takes to answer an ask; 0 by default. */
  readonly answersAfterMs?: number;
  readonly asks?: readonly SimulatedAsk[];
  /** The MSS that the asks name first; `mssBytes` by default. */
  readonly helloMssBytes?: number;
  /** Whether the served objects are sent to a multicast group. */
  readonly hasGroup?: boolean;
  /** Receives by P2MP-FTP on the same port. */
  readonly classic?: Role<ReceiverEvent>;
  readonly mssBytes?: number;
  readonly blockSizeBytes?: number;
}

/** The result of a session that a host sent. */
export interface SentObject {
  readonly label: string;
  readonly result: SessionSenderResult;
}

interface Sending {
  readonly label: string;
  readonly driver: SourceDriver;
}

export class EndpointRole implements Role<EndpointEvent<ReceiverEvent>> {
  readonly received: IncomingResult[] = [];
  readonly sent: SentObject[] = [];
  /** What came of the asks. */
  readonly answers: AskerEvent[] = [];
  serving: Serving | undefined;
  listener: AskListener | undefined;
  asker: Asker | undefined;
  /** Largest number of sessions that the host sent and received at the same moment. */
  readonly mostAtOnce = { sending: 0, receiving: 0 };
  private lives = 0;
  private host: SimulatedHost | undefined;
  private senderCount = 0;
  private receiver: SessionReceiver | undefined;
  private storeDriver: StoreDriver | undefined;
  private readonly sendings = new Map<SessionSender, Sending>();
  private served: readonly ServedObject[];

  constructor(
    private readonly simulation: Simulation,
    private readonly options: EndpointRoleOptions,
  ) {
    this.served = options.serves ?? [];
  }

  /** Changes what other hosts can ask for, also in later lives. The sessions with other objects end. */
  serve(objects: readonly ServedObject[]): void {
    this.served = objects;
    this.serving?.change(objects);
    this.host?.drain();
  }

  /** Says this about a receiver behind this host, in each session that it receives. */
  tell(behind: Behind): void {
    for (const { session } of this.receiver?.statuses(this.simulation.nowMs) ?? [])
      this.receiver?.find(session)?.tell(behind);
    this.host?.drain();
  }

  /** Withdraws entries of the objects that this host sends. @returns whether every session could */
  withdraw(entries: readonly WithdrawnEntry[]): boolean {
    const senders = [...this.sendings.keys()];
    const isDone = senders.every((each) => each.withdraw(this.simulation.nowMs, entries));
    this.host?.drain();
    return isDone;
  }

  boot(host: SimulatedHost): Machine<EndpointEvent<ReceiverEvent>> {
    const { simulation } = this;
    const { name, stores, objects = [], classic, blockSizeBytes } = this.options;
    this.lives++;
    this.host = host;
    const receiver = new SessionReceiver({
      crypto: this.cryptoFor('receiver'),
      name,
      platform: 'posix',
      refuseSender: this.options.refuseSender ?? (() => undefined),
      refuseRelay: this.options.refuseRelay ?? (() => undefined),
      ...(blockSizeBytes === undefined ? {} : { blockSizeBytes }),
    });
    this.receiver = receiver;
    this.storeDriver = new StoreDriver(receiver, stores, host);
    for (const object of objects) {
      const driver = new SourceDriver(MemorySource.of(object.content), host);
      this.sendings.set(this.createSender(object), { label: object.label, driver });
    }
    const { refuseAsker = () => undefined, helloMssBytes } = this.options;
    const listener = new AskListener({ crypto: this.cryptoFor('listener'), receiver, refuseAsker });
    this.listener = listener;
    this.asker = new Asker({
      crypto: this.cryptoFor('asker'),
      receiver,
      ...withoutUndefined({ mssBytes: helloMssBytes ?? this.options.mssBytes }),
    });
    if (host.addresses.length > 1) this.asker.setLocalHosts(host.addresses);
    const endpoint = new Endpoint({
      receiver,
      listener,
      asker: this.asker,
      senders: [...this.sendings.keys()],
      ...(classic === undefined ? {} : { classic: classic.boot(host) }),
    });
    this.serving = new Serving(this.served, {
      ...{ listener, endpoint },
      get nowMs() {
        return simulation.nowMs;
      },
      createSender: (object) => this.createServingSender(object, host),
      sealAnswer: (object, question) => this.sealAnswer(object, question),
      list: ({ name: served, content, manifest = manifestOf(content) }) => ({
        ...{ name: served, contentSizeBytes: content.length, root: undefined },
        manifestDigest: this.cryptoFor('').hash(manifest),
      }),
    });
    for (const ask of this.options.asks ?? []) this.scheduleAsk(host, ask);
    return endpoint;
  }

  handleEvent(event: EndpointEvent<ReceiverEvent>): void {
    if (event.role === 'classic') this.options.classic?.handleEvent(event.event);
    else if (event.role === 'receiver') this.handleReceiverEvent(event.event);
    else if (event.role === 'listener') this.handleListenerEvent(event.event);
    else if (event.role === 'asker') this.handleAskerEvent(event.event);
    else this.handleSenderEvent(event.sender, event.event);
  }

  handleKill(): void {
    this.storeDriver?.stop();
    for (const { driver } of this.sendings.values()) driver.stop();
    this.sendings.clear();
    this.options.stores.crash();
    this.options.classic?.handleKill?.();
  }

  handleTaken(): void {
    const { mostAtOnce } = this;
    let sending = 0;
    for (const sender of this.sendings.keys()) if (!sender.isDone) sending++;
    const receiving = this.receiver?.activeCount ?? 0;
    if (receiving === 0 || sending === 0) return;
    mostAtOnce.sending = Math.max(mostAtOnce.sending, sending);
    mostAtOnce.receiving = Math.max(mostAtOnce.receiving, receiving);
  }

  private handleReceiverEvent(event: SessionReceiverEvent): void {
    this.storeDriver?.handleEvent(event);
    const { simulation, options } = this;
    if (event.type === 'end') this.received.push(event.result);
    else if (event.type === 'join') simulation.joinGroup(event.group.host, options.name);
  }

  private handleSenderEvent(sender: SessionSender, event: SessionSenderEvent): void {
    const sending = this.sendings.get(sender);
    if (sending === undefined) return;
    sending.driver.handleEvent(sender, event);
    if (event.type === 'identify') sender.trust(this.simulation.nowMs, event.index);
    else if (event.type === 'identify-behind') {
      const { refuseBehind = () => undefined } = this.options;
      const refusal = refuseBehind(event.receiver, event.receiverKey);
      sender.trustBehind(this.simulation.nowMs, event.number, refusal);
    } else if (event.type === 'done') {
      this.sent.push({ label: sending.label, result: event.result });
      this.serving?.handleDone(sender);
    }
  }

  private handleListenerEvent(event: AskListenerEvent): void {
    const { serving, host, simulation } = this;
    const { answersAfterMs = 0 } = this.options;
    if (answersAfterMs === 0) serving?.handleEvent(event);
    else host?.at(simulation.nowMs + answersAfterMs, () => serving?.handleEvent(event));
  }

  private handleAskerEvent(event: AskerEvent): void {
    this.answers.push(event);
    if (event.type !== 'identify') return;
    const { refuseServer = () => undefined } = this.options;
    this.asker?.trust(this.simulation.nowMs, event.ask, refuseServer(event.serverKey));
  }

  private scheduleAsk(host: SimulatedHost, ask: SimulatedAsk): void {
    const { of, furtherAddresses = [], name, atMs = 0 } = ask;
    const { simulation, asker, received } = this;
    const hasIt = received.some(({ label, status }) => label === name && status === 'complete');
    if (hasIt) return;
    const otherAddresses = furtherAddresses.map(Simulation.address);
    const server = { name: of, address: Simulation.address(of), otherAddresses };
    host.at(Math.max(simulation.nowMs, atMs), () => {
      asker?.ask(simulation.nowMs, { server, ...(name === undefined ? {} : { what: { name } }) });
    });
  }

  private sealAnswer(
    { name, content, digestTree, manifest = manifestOf(content), manifestDigest }: ServedObject,
    { originKey, receiverKey, challenge }: EnvelopeQuestion,
  ): Uint8Array | undefined {
    const crypto = this.cryptoFor('envelopes');
    const isMeant = isEqualBytes(originKey, simulatedKey(this.options.name));
    if (!isMeant || digestTree === undefined) return undefined;
    return sealOriginAnswer(crypto, receiverKey, {
      ...{ challenge, name, contentRoot: digestTree.root() },
      manifestDigest: manifestDigest ?? crypto.hash(manifest),
    });
  }

  private createServingSender(object: ServedObject, host: DriverHost): SessionSender {
    const { name, content, ...known } = object;
    const hasGroup = this.options.hasGroup === true;
    const sender = this.createSender({ label: name, content }, hasGroup, known);
    const source = MemorySource.of(content);
    this.sendings.set(sender, { label: name, driver: new SourceDriver(source, host) });
    return sender;
  }

  private createSender(
    { label, content, to, fileCount }: Omit<SimulatedObject, 'to'> & Partial<SimulatedObject>,
    hasGroup = false,
    { manifest = manifestOf(content, fileCount), ...digests }: Partial<ServedObject> = {},
  ): SessionSender {
    const { mssBytes, blockSizeBytes } = this.options;
    this.senderCount++;
    return new SessionSender({
      ...(to === undefined
        ? {}
        : { receivers: to.map((name) => ({ name, address: Simulation.address(name) })) }),
      ...digests,
      ...(hasGroup ? { group: Simulation.address(simulatedGroup) } : {}),
      label,
      manifest,
      contentSizeBytes: content.length,
      crypto: this.cryptoFor(`${label} ${this.senderCount}`),
      ...(mssBytes === undefined ? {} : { mssBytes }),
      ...(blockSizeBytes === undefined ? {} : { blockSizeBytes }),
    });
  }

  private cryptoFor(purpose: string) {
    const { simulation, lives, options } = this;
    return createMachineCrypto(simulation.seed, options.name, `${purpose} ${lives}`);
  }
}

function manifestOf(content: Uint8Array, fileCount = 1): Uint8Array {
  return encodeManifest(createManifestOfFiles(content.length, fileCount));
}
