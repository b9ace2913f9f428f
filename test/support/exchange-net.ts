/** Peers of an exchange and their coordinator in virtual time, behind access links or on a shared medium. */
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import type { Link, LinkOptions } from '../../src/simulator/link.js';
import type { ExchangeCoordinatorRoleOptions } from '../../src/simulator/roles/exchange-coordinator.js';
import { ExchangeCoordinatorRole } from '../../src/simulator/roles/exchange-coordinator.js';
import type { ExchangePeerRoleOptions } from '../../src/simulator/roles/exchange-peer.js';
import { ExchangePeerRole } from '../../src/simulator/roles/exchange-peer.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';

export const blockSizeBytes = 12_000;
export const mssBytes = 1000;
/** Header of a session's data and of IP and UDP. */
const overheadBytes = 44;
const { hash } = createSimulatedCrypto('', '');

export interface PeerSpec extends Partial<ExchangePeerRoleOptions> {
  readonly name: string;
  readonly contentSizeBytes: number;
  readonly upBytesPerSec?: number;
  readonly downBytesPerSec?: number;
  /** When the peer is started; 0 by default. */
  readonly startsAtMs?: number;
}

export interface ExchangeNetOptions {
  readonly seed: string;
  readonly peers: readonly PeerSpec[];
  readonly hasGroup?: boolean;
  /** One medium carries everything, at this rate. */
  readonly mediumBytesPerSec?: number;
  readonly link?: Partial<LinkOptions>;
  readonly coordinator?: Partial<ExchangeCoordinatorRoleOptions>;
}

export interface TestPeer {
  readonly role: ExchangePeerRole;
  readonly host: SimulatedHost;
  readonly stores: MemoryStores;
  readonly up: Link;
  readonly content: Uint8Array;
}

export class ExchangeNet {
  readonly simulation: Simulation;
  readonly peers = new Map<string, TestPeer>();
  readonly coordinator: ExchangeCoordinatorRole;
  readonly coordinatorHost: SimulatedHost;
  private readonly sent = new Map<string, number>();

  constructor({
    seed,
    peers,
    hasGroup = false,
    mediumBytesPerSec,
    link = {},
    coordinator = {},
  }: ExchangeNetOptions) {
    const simulation = new Simulation({ seed });
    this.simulation = simulation;
    this.coordinator = new ExchangeCoordinatorRole(simulation, {
      ...{ name: 'coordinator', expectedPeers: peers.length, blockSizeBytes },
      ...coordinator,
    });
    this.coordinatorHost = simulation.addRole('coordinator', this.coordinator);
    const linkOf = (name: string, rateBytesPerSec: number | undefined) =>
      simulation.createLink(name, {
        ...{ delayMs: 1, overheadBytes: 28, queueLimitBytes: 200_000 },
        ...(rateBytesPerSec !== undefined && { rateBytesPerSec }),
        ...link,
      });
    const medium =
      mediumBytesPerSec === undefined ? undefined : linkOf('medium', mediumBytesPerSec);
    const ways = new Map<string, { up: Link; down: Link | undefined }>();
    for (const spec of peers) {
      const { name, contentSizeBytes, upBytesPerSec, downBytesPerSec, startsAtMs = 0 } = spec;
      const timing = { clock: simulation, writeTimeMs: 0.02, storeTimeMs: 5, checkpointMs: 20 };
      const stores = new MemoryStores({ hash, timing });
      const content = createContent(`${seed} ${name}`, contentSizeBytes);
      const role = new ExchangePeerRole(simulation, {
        ...{ stores, mssBytes, blockSizeBytes, hasGroup, coordinator: 'coordinator' },
        objects: [{ name: `${name}.bin`, content }],
        ...spec,
      });
      const host = simulation.addRole(name, role);
      if (startsAtMs > 0) {
        host.inject('kill');
        simulation.at(startsAtMs, () => host.inject('start'));
      }
      const up = medium ?? linkOf(`${name} up`, upBytesPerSec);
      if (medium === undefined) this.count(name, up);
      const down = medium === undefined ? linkOf(`${name} down`, downBytesPerSec) : undefined;
      const control = simulation.createLink(`${name} control`, { delayMs: 1, ...link });
      simulation.connect(name, 'coordinator', [control]);
      simulation.connect('coordinator', name, [control]);
      for (const [other, way] of ways) {
        simulation.connect(name, other, way.down === undefined ? [up] : [up, way.down]);
        simulation.connect(other, name, down === undefined ? [way.up] : [way.up, down]);
      }
      ways.set(name, { up, down });
      this.peers.set(name, { role, host, stores, up, content });
    }
  }

  peer(name: string): TestPeer {
    return this.peers.get(name) as TestPeer;
  }

  /** Runs until the exchange is over for all peers that are up. */
  run(untilMs = 600_000): boolean {
    return this.simulation.run({
      untilMs,
      isOver: () =>
        this.isOver &&
        [...this.peers.values()].every(({ host, role }) => host.isDown || role.peer?.isOver),
    });
  }

  get isOver(): boolean {
    return this.coordinator.events.some(({ type }) => type === 'end');
  }

  /** The result at the coordinator. */
  get end() {
    const event = this.coordinator.events.find((each) => each.type === 'end');
    return event?.type === 'end' ? event : undefined;
  }

  /** Whether a peer durably holds the content of another one, and reported it as stored. */
  has(name: string, of: string): boolean {
    const { role, stores } = this.peer(name);
    const { content } = this.peer(of);
    const stored = role.events.find(
      (event) => event.type === 'stored' && event.object.name === `${of}.bin`,
    );
    if (stored?.type !== 'stored') return false;
    const digest = Buffer.from(stored.object.content.manifestDigest).toString('hex');
    const blocks = [...(stores.blocksOf(digest) ?? [])].sort(([i], [j]) => i - j);
    return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
  }

  /** What each peer misses of others. */
  get missing(): string[] {
    const names = [...this.peers.keys()].filter((name) => !this.peer(name).host.isDown);
    return names.flatMap((name) =>
      [...this.peers.keys()]
        .filter((of) => of !== name && !this.has(name, of))
        .map((of) => `${name} misses ${of}`),
    );
  }

  /** The bytes that have left a peer for other peers. */
  sentBytes(name: string): number {
    return this.sent.get(name) ?? 0;
  }

  private count(name: string, link: Link): void {
    const send = link.send.bind(link);
    link.send = (nowMs, bytes, deliver) => {
      this.sent.set(name, this.sentBytes(name) + bytes.length);
      return send(nowMs, bytes, deliver);
    };
  }

  /** How long it takes a link to carry this much content. */
  static idealMs(contentSizeBytes: number, rateBytesPerSec: number): number {
    return (1000 * contentSizeBytes * (mssBytes + overheadBytes)) / mssBytes / rateBytesPerSec;
  }
}
