/** Runs a scenario of a fetch from several hosts in virtual time, and watches what the client does. */
import type { TimeMs } from '../../src/base/machine.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { EndpointRole } from '../../src/simulator/roles/endpoint.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import { decodeSession } from '../../src/wire/header.js';
import { ServedVersions } from './served-objects.js';
import { type SourceScenario, type SourcesScenario, sourcesMssBytes } from './sources-scenario.js';
import { type FetchWatch, WatchedFetchRole } from './watched-fetch.js';

export interface SourcesRun {
  readonly lives: readonly FetchWatch[];
  readonly isAtRest: boolean;
  readonly restMs: TimeMs;
  /** Whether the last life ended and waits for nothing. */
  readonly isIdle: boolean;
  /** Hosts that still know a client. */
  readonly busyHosts: readonly string[];
  /** Whether the durable content is what this root says, for each content that was served. */
  readonly stored: Uint8Array | undefined;
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

const { hash } = createSimulatedCrypto('', '');
const objectName = 'object';
/** No scenario takes as long. */
export const longestMs = 15 * 60_000;

export function runSources(
  scenario: SourcesScenario,
  trace?: (record: TraceRecord) => void,
): SourcesRun {
  return new SourcesModel(scenario, trace).run();
}

function isData(bytes: Uint8Array): boolean {
  const packet = decodeSession(bytes);
  return typeof packet !== 'string' && packet.kind === 'data';
}

class SourcesModel {
  private readonly simulation: Simulation;
  private readonly objects: ServedVersions;
  private readonly stores: MemoryStores;
  private readonly client: WatchedFetchRole;
  private readonly clientHost: SimulatedHost;
  private readonly hosts = new Map<string, { role: EndpointRole; host: SimulatedHost }>();

  constructor(
    private readonly scenario: SourcesScenario,
    trace: ((record: TraceRecord) => void) | undefined,
  ) {
    const { number, blockSizeBytes, heldBlocks, isPinned } = scenario;
    const mute = scenario.sources.find(({ isMute }) => isMute)?.name;
    const simulation = new Simulation({
      seed: `sources ${number}`,
      ...(trace === undefined ? {} : { trace }),
      ...(mute !== undefined && {
        intercept: ({ from, bytes }) => (from === mute && isData(bytes) ? [] : [bytes]),
      }),
    });
    this.simulation = simulation;
    this.objects = new ServedVersions({ ...scenario, name: objectName, seed: `${number}` });
    const { right, other } = this.objects;
    for (const source of scenario.sources) this.addSource(source);
    const bytesOf = ({ content }: ServedObject, block: number) =>
      content.slice(block * blockSizeBytes, (block + 1) * blockSizeBytes);
    this.stores = new MemoryStores({
      hash,
      timing: { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 },
      initialContent: () => ({
        blocks: [
          ...heldBlocks.same.map((block) => [block, bytesOf(right, block)] as const),
          ...heldBlocks.other.map((block) => [block, bytesOf(other, block)] as const),
        ],
      }),
    });
    const { split, patienceMs, bufferBytes } = scenario;
    this.client = new WatchedFetchRole(
      simulation,
      {
        ...{ name: 'client', stores: this.stores, blockSizeBytes, mssBytes: sourcesMssBytes },
        ...{ split, patienceMs },
        from: scenario.sources.filter(({ namedAtMs }) => namedAtMs === 0).map(({ name }) => name),
        what: { name: objectName, ...(isPinned && { root: right.digestTree.root() }) },
        ...(bufferBytes !== undefined && { bufferBytes }),
      },
      this.objects.contents,
    );
    this.clientHost = simulation.addRole('client', this.client);
    this.plan();
  }

  run(): SourcesRun {
    const isAtRest = this.simulation.run({ untilMs: longestMs });
    const { client } = this;
    const { object } = client.watched.at(-1)?.result ?? {};
    return {
      ...{ lives: client.watched, isAtRest, restMs: this.simulation.nowMs },
      isIdle: client.fetch?.isIdle === true,
      busyHosts: [...this.hosts].flatMap(([name, { role, host }]) =>
        host.isDown || role.listener?.channelCount === 0 ? [] : [name],
      ),
      stored: object && this.storedContent(object.manifestDigest),
      contents: this.objects.contents,
    };
  }

  private storedContent(manifestDigest: string): Uint8Array {
    const blocks = [...(this.stores.blocksOf(manifestDigest) ?? [])].sort(([i], [j]) => i - j);
    return Buffer.concat(blocks.map(([, bytes]) => bytes));
  }

  private addSource(source: SourceScenario): void {
    const { simulation } = this;
    const { blockSizeBytes } = this.scenario;
    const { name } = source;
    const role = new EndpointRole(simulation, {
      ...{ name, blockSizeBytes, mssBytes: sourcesMssBytes },
      stores: new MemoryStores({ hash }),
      serves: this.objects.servedAs(source.served, source.wrongBlocks),
    });
    this.hosts.set(name, { role, host: simulation.addRole(name, role) });
    for (const [i, { fromMs, bytesPerSec }] of source.rates.entries()) {
      const connect = () => {
        for (const [from, to] of [
          ['client', name],
          [name, 'client'],
        ] as const) {
          const link = simulation.createLink(`${from} ${to} ${i}`, {
            ...{ rateBytesPerSec: bytesPerSec, queueLimitBytes: 20_000 },
            ...source.link,
          });
          simulation.connect(from, to, [link]);
        }
      };
      if (fromMs === 0) connect();
      else simulation.at(fromMs, connect);
    }
  }

  /** Plans what happens to hosts. */
  private plan(): void {
    const { simulation, client } = this;
    for (const { name, startsAtMs, namedAtMs, changesAtMs, outages } of this.scenario.sources) {
      const { role, host } = this.hosts.get(name) as { role: EndpointRole; host: SimulatedHost };
      if (startsAtMs > 0) {
        host.inject('kill');
        simulation.at(startsAtMs, () => host.inject('start'));
      }
      if (namedAtMs > 0) {
        simulation.at(namedAtMs, () => client.name(name));
      }
      if (changesAtMs !== undefined)
        simulation.at(changesAtMs, () => role.serve([this.objects.other]));
      for (const { kind, atMs, endMs } of outages) {
        simulation.at(atMs, () => host.inject(kind));
        if (endMs === Infinity) continue;
        simulation.at(endMs, () => host.inject(kind === 'kill' ? 'start' : 'reconnect'));
      }
    }
    for (const { atMs, endMs } of this.scenario.restarts) {
      simulation.at(atMs, () => {
        if (!client.hasEnded) this.clientHost.inject('kill');
      });
      simulation.at(endMs, () => this.clientHost.inject('start'));
    }
  }
}
