/** A simulated peer of an exchange. If it is killed and started again, it joins again and resumes. */
import type { Machine } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { DigestTree } from '../../object/digest-tree.js';
import { hashLeaf } from '../../object/hash-tree.js';
import { createManifest, encodeManifest } from '../../object/manifest.js';
import { MemorySource } from '../../object/memory-source.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { SharedObject } from '../../roles/exchange/objects/shared-object.js';
import type { OwnObject } from '../../roles/exchange/peer.js';
import type { PeerEvent } from '../../roles/exchange/peer-events.js';
import type { PeerMachineEvent } from '../../roles/exchange/peer-machine.js';
import { PeerMachine } from '../../roles/exchange/peer-machine.js';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { commonAllocationBytes } from '../../session/object-limits.js';
import { SessionSender } from '../../session/sender.js';
import type { FaultEvent } from '../../wire/faults.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { Role, SimulatedHost } from '../host.js';
import { createMachineCrypto, createSimulatedCrypto, simulatedKey } from '../session-crypto.js';
import { Simulation } from '../simulation.js';

/** An object that a simulated peer brings. */
export interface BroughtObject {
  readonly name: string;
  readonly content: Uint8Array;
  /** What it sends instead, if it lies. */
  readonly sentContent?: Uint8Array;
}

export interface ExchangePeerRoleOptions {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  /** The name of the host that coordinates. */
  readonly coordinator: string;
  readonly objects: readonly BroughtObject[];
  /** Whether the host sends by multicast. */
  readonly hasGroup?: boolean;
  /** Whether multicast reaches the host; true by default. */
  readonly hearsGroups?: boolean;
  /** Changes the bytes that the host sends of what it has from others, if it lies. */
  readonly corrupt?: (bytes: Uint8Array) => Uint8Array;
  readonly mssBytes?: number;
  readonly blockSizeBytes?: number;
}

interface Session {
  readonly object: SharedObject;
  readonly driver: SourceDriver;
}

export class ExchangePeerRole implements Role<PeerMachineEvent> {
  readonly events: PeerEvent[] = [];
  /** The first fault of each kind, of each machine on its port. */
  readonly faults: FaultEvent[] = [];
  private readonly sessions = new Map<SessionSender, Session>();
  private readonly blockSizeBytes: number;
  private machine: PeerMachine | undefined;
  private lives = 0;
  private groupCount = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: ExchangePeerRoleOptions,
  ) {
    this.blockSizeBytes = options.blockSizeBytes ?? standardBlockSizeBytes;
  }

  /** The peer of this life. */
  get peer() {
    return this.machine?.peer;
  }

  boot(host: SimulatedHost): Machine<PeerMachineEvent> {
    const { options, blockSizeBytes } = this;
    const { name, stores, coordinator, mssBytes } = options;
    this.lives++;
    this.machine = new PeerMachine({
      ...{ name, blockSizeBytes, host, platform: 'posix' },
      ...withoutUndefined({ mssBytes }),
      crypto: this.cryptoFor('peer'),
      ownKey: simulatedKey(name),
      limits: { maxBytes: Infinity, maxEntries: Infinity, allocationBytes: commonAllocationBytes },
      coordinator: { name: coordinator, address: Simulation.address(coordinator) },
      objects: options.objects.map((object) => this.bring(object)),
      storesOf: () => ({
        create: (request) => stores.create(request),
        drop: (object) => stores.drop(object),
        openStored: ({ manifestDigest }) => this.openStored(manifestDigest),
      }),
    });
    return this.machine;
  }

  private bring({ name, content, sentContent = content }: BroughtObject): OwnObject {
    const { simulation, blockSizeBytes } = this;
    const { hash } = createSimulatedCrypto(simulation.seed, '');
    const blockCount = Math.ceil(content.length / blockSizeBytes);
    const digestTree = new DigestTree(hash, blockCount);
    for (let i = 0; i < blockCount; i++) {
      const block = content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes);
      digestTree.set(i, hashLeaf(hash, block));
    }
    const entry = { kind: 'file' as const, name, mode: 0o644, modifiedMs: 0 };
    const manifest = encodeManifest(createManifest([{ ...entry, sizeBytes: content.length }]));
    const digests = { contentRoot: digestTree.root(), manifestDigest: hash(manifest), digestTree };
    const facts = { label: name, contentSizeBytes: content.length, manifest, listedAtMs: 0 };
    const files = [{ md5: new Uint8Array(16), sha256: hash(content) }];
    return { head: { name, ...facts, ...digests }, source: MemorySource.of(sentContent), files };
  }

  private openStored(manifestDigest: string) {
    const blocks = [...(this.options.stores.blocksOf(manifestDigest) ?? [])];
    blocks.sort(([i], [j]) => i - j);
    const sizeBytes = blocks.reduce((sum, [, { length }]) => sum + length, 0);
    const content = new Uint8Array(sizeBytes);
    for (const [i, bytes] of blocks) content.set(bytes, i * this.blockSizeBytes);
    return MemorySource.of(content);
  }

  handleEvent(event: PeerMachineEvent): void {
    if (event.event.type === 'fault') this.faults.push(event.event);
    if (event.role === 'peer') this.handlePeerEvent(event.event);
    else if (event.role === 'listener') this.handleListenerEvent(event.event);
    else {
      this.sessions.get(event.sender)?.driver.handleEvent(event.sender, event.event);
      if (event.event.type === 'done') this.sessions.delete(event.sender);
    }
  }

  handleKill(): void {
    for (const { driver } of this.sessions.values()) driver.stop();
    this.sessions.clear();
    this.options.stores.crash();
  }

  private handlePeerEvent(event: PeerEvent): void {
    const { simulation, options } = this;
    this.events.push(event);
    if (event.type === 'identify') this.machine?.trust(simulation.nowMs, event.ask);
    else if (event.type === 'join' && options.hearsGroups !== false)
      simulation.joinGroup(event.group.host, options.name);
  }

  private handleListenerEvent(event: AskListenerEvent): void {
    if (event.type !== 'ask') return;
    const { peer, listener } = this.machine as PeerMachine;
    const { nowMs } = this.simulation;
    const object = peer.find(event.what);
    if (object?.head === undefined)
      listener.refuse(nowMs, event.channel, 'does not have it now', true);
    else listener.accept(nowMs, event.channel, this.senderOf(object, object.head));
  }

  /** The session that sends an object. Hosts that ask while it runs join it. */
  private senderOf(object: SharedObject, head: ObjectHead): SessionSender {
    for (const [sender, session] of this.sessions)
      if (session.object === object && !sender.isDone) return sender;
    const { endpoint, host, peer } = this.machine as PeerMachine;
    const { name, mssBytes, hasGroup = false, corrupt } = this.options;
    const { blockSizeBytes } = this;
    const group = Simulation.address(`group of ${name} ${this.groupCount++}`);
    const sender = new SessionSender({
      ...head,
      ...{ blockSizeBytes, crypto: this.cryptoFor(`session ${this.groupCount}`) },
      ...peer.sending,
      ...withoutUndefined({ mssBytes }),
      ...(hasGroup && { group }),
    });
    const source =
      corrupt === undefined
        ? object
        : {
            read: (offsetBytes: number, sizeBytes: number, take: (bytes?: Uint8Array) => void) =>
              object.read(offsetBytes, sizeBytes, (bytes) => take(bytes && corrupt(bytes))),
            check: (handleUnchanged: () => void) => object.check(handleUnchanged),
          };
    this.sessions.set(sender, { object, driver: new SourceDriver(source, host) });
    endpoint.addSender(sender);
    return sender;
  }

  private cryptoFor(purpose: string) {
    const { simulation, lives, options } = this;
    return createMachineCrypto(simulation.seed, options.name, `${purpose} ${lives}`);
  }
}
