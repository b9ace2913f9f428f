/**
 * A simulated host that sends and receives any number of objects at once on one port, and receives by P2MP-FTP
 * beside that. A host that is killed and started again sends its objects again and resumes what it receives.
 */
import type { Machine } from '../../base/machine.js';
import type { ReceiverEvent } from '../../classic/receiver-events.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import { encodeManifest } from '../../object/manifest.js';
import { MemorySource } from '../../object/memory-source.js';
import type { MemoryStores } from '../../object/memory-store.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { StoreDriver } from '../../session/drivers/store-driver.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../session/receiver-events.js';
import { SessionSender } from '../../session/sender.js';
import type { SessionSenderEvent, SessionSenderResult } from '../../session/sender-events.js';
import type { Role, SimulatedHost } from '../host.js';
import { createSimulatedCrypto } from '../session-crypto.js';
import { Simulation } from '../simulation.js';
import { createManifestOfFiles } from './session-sender.js';

/** An object that a host sends in a session of its own. */
export interface SimulatedObject {
  readonly label: string;
  readonly content: Uint8Array;
  /** Addresses of the receivers. */
  readonly to: readonly string[];
}

export interface EndpointRoleOptions {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  readonly objects?: readonly SimulatedObject[];
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
  /** Largest number of sessions that the host sent and received at the same moment. */
  readonly mostAtOnce = { sending: 0, receiving: 0 };
  private lives = 0;
  private receiver: SessionReceiver | undefined;
  private storeDriver: StoreDriver | undefined;
  private readonly sendings = new Map<SessionSender, Sending>();

  constructor(
    private readonly simulation: Simulation,
    private readonly options: EndpointRoleOptions,
  ) {}

  boot(host: SimulatedHost): Machine<EndpointEvent<ReceiverEvent>> {
    const { simulation } = this;
    const { name, stores, objects = [], classic, blockSizeBytes } = this.options;
    this.lives++;
    const driverHost = {
      get nowMs() {
        return simulation.nowMs;
      },
      drain: () => host.drain(),
    };
    const receiver = new SessionReceiver({
      crypto: this.cryptoFor('receiver'),
      name,
      platform: 'posix',
      refuseSender: () => undefined,
      ...(blockSizeBytes === undefined ? {} : { blockSizeBytes }),
    });
    this.receiver = receiver;
    this.storeDriver = new StoreDriver(receiver, stores, driverHost);
    for (const object of objects) {
      const driver = new SourceDriver(MemorySource.of(object.content), driverHost);
      this.sendings.set(this.createSender(object), { label: object.label, driver });
    }
    return new Endpoint({
      receiver,
      senders: [...this.sendings.keys()],
      ...(classic === undefined ? {} : { classic: classic.boot(host) }),
    });
  }

  handleEvent(event: EndpointEvent<ReceiverEvent>): void {
    if (event.role === 'classic') this.options.classic?.handleEvent(event.event);
    else if (event.role === 'receiver') this.handleReceiverEvent(event.event);
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
    if (event.type === 'end') this.received.push(event.result);
  }

  private handleSenderEvent(sender: SessionSender, event: SessionSenderEvent): void {
    const sending = this.sendings.get(sender);
    if (sending === undefined) return;
    sending.driver.handleEvent(sender, event);
    if (event.type === 'identify') sender.trust(this.simulation.nowMs, event.index);
    else if (event.type === 'done') this.sent.push({ label: sending.label, result: event.result });
  }

  private createSender({ label, content, to }: SimulatedObject): SessionSender {
    const { mssBytes, blockSizeBytes } = this.options;
    return new SessionSender({
      receivers: to.map((name) => ({ name, address: Simulation.address(name) })),
      label,
      manifest: encodeManifest(createManifestOfFiles(content.length, 1)),
      contentSizeBytes: content.length,
      crypto: this.cryptoFor(label),
      ...(mssBytes === undefined ? {} : { mssBytes }),
      ...(blockSizeBytes === undefined ? {} : { blockSizeBytes }),
    });
  }

  /** All machines of a host have one key, the same in each life; their random numbers differ. */
  private cryptoFor(purpose: string) {
    const { simulation, lives } = this;
    const { name } = this.options;
    const { random } = createSimulatedCrypto(simulation.seed, `${name} ${purpose} ${lives}`);
    return { ...createSimulatedCrypto(simulation.seed, name), random };
  }
}
