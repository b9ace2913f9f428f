/** Servers, relays and clients in virtual time. Counts what each of them sends to whom. */
import { DigestTree } from '../../src/object/digest-tree.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { EndpointRole, type EndpointRoleOptions } from '../../src/simulator/roles/endpoint.js';
import { FetchRole, type FetchRoleOptions } from '../../src/simulator/roles/fetch.js';
import { ForwarderRole, type ForwarderRoleOptions } from '../../src/simulator/roles/forwarder.js';
import { RelayRole, type RelayRoleOptions } from '../../src/simulator/roles/relay.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';

export const blockSizeBytes = 4000;
const mssBytes = 500;
const { hash } = createSimulatedCrypto('', '');

/** An object whose digests the server knows. */
export function objectOf(name: string, blockCount: number, seed = name): ServedObject {
  const content = createContent(seed, Math.max(0, blockCount * blockSizeBytes - 100));
  const digestTree = new DigestTree(hash, blockCount);
  for (let i = 0; i < blockCount; i++) {
    const block = content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes);
    digestTree.set(i, hashLeaf(hash, block));
  }
  return { name, content, digestTree };
}

export interface Client {
  readonly role: FetchRole;
  readonly stores: MemoryStores;
  readonly host: SimulatedHost;
}

export interface Middle {
  readonly role: RelayRole;
  readonly stores: MemoryStores;
  readonly host: SimulatedHost;
}

export interface Peer {
  readonly role: EndpointRole;
  readonly stores: MemoryStores;
  readonly host: SimulatedHost;
}

export class RelayNet {
  readonly simulation: Simulation;
  private readonly sentBytes = new Map<string, number>();
  private readonly names = new Set<string>();
  private readonly linkOf: (from: string, to: string) => Partial<LinkOptions>;

  /** @param link what differs from the usual link, for all links or by their ends */
  constructor(
    seed: string,
    link: Partial<LinkOptions> | ((from: string, to: string) => Partial<LinkOptions>) = {},
  ) {
    this.linkOf = typeof link === 'function' ? link : () => link;
    this.simulation = new Simulation({
      seed,
      intercept: ({ from, to, bytes }) => {
        for (const key of [from, `${from} ${to}`])
          this.sentBytes.set(key, (this.sentBytes.get(key) ?? 0) + bytes.length);
        return [bytes];
      },
    });
  }

  /** What a host has sent, to all or to one other host. */
  sentBy(from: string, to?: string): number {
    return this.sentBytes.get(to === undefined ? from : `${from} ${to}`) ?? 0;
  }

  server(
    name: string,
    serves: readonly ServedObject[],
  ): { role: EndpointRole; host: SimulatedHost } {
    const stores = this.createStores();
    const role = new EndpointRole(this.simulation, {
      ...{ name, stores, serves, mssBytes, blockSizeBytes },
    });
    const host = this.simulation.addRole(name, role);
    this.connect(name);
    return { role, host };
  }

  relay(name: string, from: readonly string[], options: Partial<RelayRoleOptions> = {}): Middle {
    const stores = this.createStores();
    const role = new RelayRole(this.simulation, {
      ...{ name, stores, from, mssBytes, blockSizeBytes, cacheLimitBytes: 1e9 },
      ...options,
    });
    const host = this.simulation.addRole(name, role);
    this.connect(name);
    return { role, stores, host };
  }

  /** A relay that sends on what it receives. */
  forwarder(
    name: string,
    to: readonly string[],
    options: Partial<ForwarderRoleOptions> = {},
  ): { role: ForwarderRole; stores: MemoryStores; host: SimulatedHost } {
    const stores = this.createStores();
    const role = new ForwarderRole(this.simulation, {
      ...{ name, stores, to, mssBytes, blockSizeBytes },
      ...options,
    });
    const host = this.simulation.addRole(name, role);
    this.connect(name);
    return { role, stores, host };
  }

  /** A host that sends an object, or receives. */
  peer(name: string, options: Partial<EndpointRoleOptions> = {}): Peer {
    const stores = this.createStores();
    const role = new EndpointRole(this.simulation, {
      ...{ name, stores, mssBytes, blockSizeBytes },
      ...options,
    });
    const host = this.simulation.addRole(name, role);
    this.connect(name);
    return { role, stores, host };
  }

  client(
    name: string,
    from: readonly string[],
    what: FetchRoleOptions['what'],
    options: Partial<FetchRoleOptions> = {},
  ): Client {
    const stores = options.stores ?? this.createStores();
    const role = new FetchRole(this.simulation, {
      ...{ name, stores, from, what, mssBytes, blockSizeBytes },
      ...options,
    });
    const host = this.simulation.addRole(name, role);
    this.connect(name);
    return { role, stores, host };
  }

  /** A client that begins at this time. */
  laterClient(
    atMs: number,
    ...[name, from, what, options]: Parameters<RelayNet['client']>
  ): { current: Client | undefined } {
    const later: { current: Client | undefined } = { current: undefined };
    this.simulation.at(atMs, () => {
      later.current = this.client(name, from, what, options);
    });
    return later;
  }

  createStores(): MemoryStores {
    const timing = { clock: this.simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
    return new MemoryStores({ hash, timing });
  }

  private connect(name: string): void {
    this.connectAll(name, this.names);
    this.names.add(name);
  }

  /** Connects a host with the others. */
  protected connectAll(name: string, others: Iterable<string>): void {
    for (const other of others) {
      for (const [one, two] of [
        [name, other],
        [other, name],
      ] as const) {
        const link = this.simulation.createLink(`${one} ${two}`, {
          ...{ delayMs: 5, rateBytesPerSec: 500_000, queueLimitBytes: 50_000 },
          ...this.linkOf(one, two),
        });
        this.simulation.connect(one, two, [link]);
      }
    }
  }
}

/** Whether the peer durably holds this content, and says so. */
export function hasReceived({ role, stores }: Peer, content: Uint8Array): boolean {
  const result = role.received.at(-1);
  if (result?.status !== 'complete') return false;
  const blocks = [...(stores.blocksOf(result.manifestDigest) ?? [])];
  blocks.sort(([i], [j]) => i - j);
  return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
}

/** Whether the client durably holds this content, and says so. */
export function hasFetched(client: Client | undefined, { content }: ServedObject): boolean {
  const result = client?.role.results.at(-1);
  if (result?.status !== 'complete' || result.object === undefined) return false;
  const blocks = [...(client?.stores.blocksOf(result.object.manifestDigest) ?? [])];
  blocks.sort(([i], [j]) => i - j);
  return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
}

/** The time that a client's fetch took. */
export function elapsedMs(client: Client | undefined): number {
  return client?.role.results.at(-1)?.elapsedMs ?? Infinity;
}
