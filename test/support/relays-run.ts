/** Runs a scenario with relays in virtual time, and watches what relays and clients do. */
import type { TimeMs } from '../../src/base/machine.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { RelayEvent } from '../../src/roles/relay/relay-events.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { EndpointRole } from '../../src/simulator/roles/endpoint.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import type {
  ClientScenario,
  OriginScenario,
  RelayScenario,
  RelaysScenario,
} from './relays-scenario.js';
import { relaysMssBytes } from './relays-scenario.js';
import { ServedVersions } from './served-objects.js';
import type { FetchWatch, WatchOptions } from './watched-fetch.js';
import { WatchedFetchRole } from './watched-fetch.js';
import { type CacheWatch, WatchedRelayRole } from './watched-relay.js';

export interface ClientRun {
  readonly name: string;
  readonly lives: readonly FetchWatch[];
  readonly isIdle: boolean;
  readonly isDown: boolean;
  /** What is durable of the object that the last life ended with. */
  readonly stored: Uint8Array | undefined;
}

export interface RelayRun {
  readonly name: string;
  /** Every fetch from upstream servers. */
  readonly fetches: readonly FetchWatch[];
  readonly events: readonly RelayEvent[];
  readonly cache: CacheWatch;
  readonly isDown: boolean;
  /** What the relay still holds open at the end. */
  readonly leftovers: readonly string[];
  /** What is wrong with the cache at the end. */
  readonly unsound: readonly string[];
}

export interface RelaysRun {
  readonly clients: readonly ClientRun[];
  readonly relays: readonly RelayRun[];
  readonly isAtRest: boolean;
  readonly restMs: TimeMs;
  /** Origins that still know somebody. */
  readonly busyOrigins: readonly string[];
  /** What each root says, of all objects. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** For each object, its versions. */
  readonly versions: ReadonlyMap<string, ServedVersions>;
}

const { hash } = createSimulatedCrypto('', '');
/** No scenario takes as long. */
const longestMs = 30 * 60_000;
const mostSteps = 2_000_000;

export function runRelays(
  scenario: RelaysScenario,
  trace?: (record: TraceRecord) => void,
): RelaysRun {
  return new RelaysModel(scenario, trace).run();
}

interface Hosted<R> {
  readonly role: R;
  readonly host: SimulatedHost;
}

class RelaysModel {
  private readonly simulation: Simulation;
  private readonly versions = new Map<string, ServedVersions>();
  private readonly contents = new Map<string, Uint8Array>();
  private readonly origins = new Map<string, Hosted<EndpointRole>>();
  private readonly relays = new Map<string, Hosted<WatchedRelayRole>>();
  private readonly clients = new Map<
    string,
    Hosted<WatchedFetchRole> & { readonly stores: MemoryStores }
  >();
  private readonly watching: WatchOptions;

  constructor(
    private readonly scenario: RelaysScenario,
    trace: ((record: TraceRecord) => void) | undefined,
  ) {
    const { number, blockSizeBytes, objects, origins, relays, clients } = scenario;
    this.simulation = new Simulation({
      seed: `relays ${number}`,
      ...(trace === undefined ? {} : { trace }),
    });
    for (const { name, ...sizes } of objects) {
      const versions = new ServedVersions({
        ...{ name, seed: `${name} ${number}`, blockSizeBytes },
        ...sizes,
      });
      this.versions.set(name, versions);
      for (const [root, content] of versions.contents) this.contents.set(root, content);
    }
    this.watching = { contents: this.contents, blockSizeBytes, mssBytes: relaysMssBytes };
    for (const origin of origins) this.addOrigin(origin);
    for (const relay of relays) this.addRelay(relay);
    for (const client of clients) {
      if (client.startsAtMs === 0) this.addClient(client);
      else this.simulation.at(client.startsAtMs, () => this.addClient(client));
    }
  }

  run(): RelaysRun {
    const { simulation } = this;
    const isRestless = () => simulation.steps > mostSteps;
    const isAtRest = simulation.run({ untilMs: longestMs, isOver: isRestless }) && !isRestless();
    return {
      ...{ isAtRest, restMs: this.simulation.nowMs },
      clients: [...this.clients].map(([name, { role, host, stores }]) => {
        const { object } = role.watched.at(-1)?.result ?? {};
        return {
          ...{ name, lives: role.watched, isDown: host.isDown },
          isIdle: role.fetch?.isIdle === true,
          stored: object && storedContent(stores, object.manifestDigest),
        };
      }),
      relays: [...this.relays].map(([name, { role, host }]) => ({
        ...{ name, fetches: role.fetches, events: role.events, cache: role.watch },
        isDown: host.isDown,
        leftovers: host.isDown ? [] : role.leftovers(),
        unsound: role.unsoundness(),
      })),
      busyOrigins: [...this.origins].flatMap(([name, { role, host }]) =>
        host.isDown || role.listener?.channelCount === 0 ? [] : [name],
      ),
      ...{ contents: this.contents, versions: this.versions },
    };
  }

  private addOrigin({ name, served, wrongBlocks, changesAtMs, outages }: OriginScenario): void {
    const { simulation } = this;
    const { blockSizeBytes } = this.scenario;
    const all = [...this.versions.values()];
    const role = new EndpointRole(simulation, {
      ...{ name, blockSizeBytes, mssBytes: relaysMssBytes },
      stores: new MemoryStores({ hash }),
      serves: all.flatMap((each) => each.servedAs(served, wrongBlocks)),
    });
    const host = simulation.addRole(name, role);
    this.origins.set(name, { role, host });
    if (changesAtMs !== undefined)
      simulation.at(changesAtMs, () => role.serve(all.map(({ other }) => other)));
    this.planOutages(host, outages);
  }

  private addRelay(relay: RelayScenario): void {
    const { simulation } = this;
    const { blockSizeBytes, patienceMs } = this.scenario;
    const { name, from, cacheLimitBytes, windowBytes } = relay;
    const role = new WatchedRelayRole(
      simulation,
      {
        ...{ name, from, cacheLimitBytes, windowBytes, blockSizeBytes, mssBytes: relaysMssBytes },
        ...{ stores: this.createStores(), patienceMs: patienceMs / 4 },
      },
      { ...relay, ...this.watching },
    );
    const host = simulation.addRole(name, role);
    this.relays.set(name, { role, host });
    this.connect(relay);
    this.planOutages(host, relay.outages);
  }

  private addClient(client: ClientScenario): void {
    const { simulation } = this;
    const { blockSizeBytes, patienceMs } = this.scenario;
    const { name, from, objectName, isPinned, leavesAtMs, restarts } = client;
    const stores = this.createStores();
    const root = this.versions.get(objectName)?.right.digestTree.root();
    const role = new WatchedFetchRole(
      simulation,
      {
        ...{ name, stores, from, blockSizeBytes, patienceMs, mssBytes: relaysMssBytes },
        what: { name: objectName, ...(isPinned && { root: root as Uint8Array }) },
      },
      this.contents,
    );
    const host = simulation.addRole(name, role);
    this.clients.set(name, { role, host, stores });
    this.connect(client);
    if (leavesAtMs !== undefined) simulation.at(leavesAtMs, () => host.inject('kill'));
    for (const { atMs, endMs } of restarts) {
      simulation.at(atMs, () => {
        if (!role.hasEnded) host.inject('kill');
      });
      simulation.at(endMs, () => host.inject('start'));
    }
  }

  private createStores(): MemoryStores {
    const timing = { clock: this.simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
    return new MemoryStores({ hash, timing });
  }

  private connect({
    name,
    from,
    bytesPerSec,
    link: options,
  }: RelayScenario | ClientScenario): void {
    const { simulation } = this;
    for (const upstream of from) {
      for (const [one, other] of [
        [name, upstream],
        [upstream, name],
      ] as const) {
        const link = simulation.createLink(`${one} ${other}`, {
          ...{ rateBytesPerSec: bytesPerSec, queueLimitBytes: 20_000 },
          ...options,
        });
        simulation.connect(one, other, [link]);
      }
    }
  }

  private planOutages(host: SimulatedHost, outages: OriginScenario['outages']): void {
    for (const { kind, atMs, endMs } of outages) {
      this.simulation.at(atMs, () => host.inject(kind));
      if (endMs === Infinity) continue;
      this.simulation.at(endMs, () => host.inject(kind === 'kill' ? 'start' : 'reconnect'));
    }
  }
}

function storedContent(stores: MemoryStores, manifestDigest: string): Uint8Array {
  const blocks = [...(stores.blocksOf(manifestDigest) ?? [])].sort(([i], [j]) => i - j);
  return Buffer.concat(blocks.map(([, bytes]) => bytes));
}
