/** Runs a scenario of a fetch from several hosts in virtual time, and watches what the client does. */
import type { Machine, TimeMs } from '../../src/base/machine.js';
import { RangeSet } from '../../src/base/range-set.js';
import { encodeManifest } from '../../src/object/manifest.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { FetchMachine } from '../../src/roles/fetch/fetch-machine.js';
import type { FetchResult, FetchRoleEvent } from '../../src/roles/fetch/fetch-result.js';
import type { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import type { SourceAction } from '../../src/roles/fetch/sources.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { EndpointRole } from '../../src/simulator/roles/endpoint.js';
import { FetchRole } from '../../src/simulator/roles/fetch.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createManifestOfFiles } from '../../src/simulator/roles/session-sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import { createContent } from '../../src/simulator/transfer.js';
import { withDigests, withWrongBlocks, withWrongDigests, withWrongSize } from './served-objects.js';
import { type SourceScenario, type SourcesScenario, sourcesMssBytes } from './sources-scenario.js';

/** What one life of the client did. */
export interface ClientLife {
  readonly result: FetchResult | undefined;
  readonly endMs: TimeMs | undefined;
  readonly events: readonly FetchRoleEvent[];
  /** The number of blocks that were missing when blocks were first asked for; undefined if none were. */
  readonly missingBlocks: number | undefined;
  /** Blocks that were asked of a source, each time counted. */
  readonly askedBlocks: number;
  /** Of those, blocks that another source was asked for at the same time. */
  readonly repeatedBlocks: number;
  /** Of those, blocks that were repeated while there were blocks that nobody was asked for. */
  readonly earlyRepeats: number;
  /** Blocks that were asked again after the source that was asked for them had lost them. */
  readonly againBlocks: number;
  /** Blocks that arrived though they were held already. */
  readonly duplicateBlocks: number;
  /** Of those, blocks that were asked for only once. */
  readonly vainBlocks: number;
  /** Segments of blocks and manifests that arrived, each once for each session. */
  readonly arrivedSegments: number;
  /** The first of the events since the client began to ask for blocks. */
  readonly firstEvent: number;
  /** Sources that sent a block with wrong content while it was missing. */
  readonly liars: readonly string[];
  /** The largest number of blocks that one source was asked for at a time. */
  readonly mostAsked: number;
  readonly mostBufferedBytes: number;
}

export interface SourcesRun {
  readonly lives: readonly ClientLife[];
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

class SourcesModel {
  private readonly simulation: Simulation;
  private readonly objects: Objects;
  private readonly stores: MemoryStores;
  private readonly client: WatchedFetchRole;
  private readonly clientHost: SimulatedHost;
  private readonly hosts = new Map<string, { role: EndpointRole; host: SimulatedHost }>();

  constructor(
    private readonly scenario: SourcesScenario,
    trace: ((record: TraceRecord) => void) | undefined,
  ) {
    const { number, blockSizeBytes, heldBlocks, isPinned } = scenario;
    const simulation = new Simulation({
      seed: `sources ${number}`,
      ...(trace === undefined ? {} : { trace }),
    });
    this.simulation = simulation;
    this.objects = new Objects(scenario);
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
      serves: this.objects.servedBy(source),
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

/** What hosts serve. */
class Objects {
  readonly right;
  readonly other;
  readonly contents: ReadonlyMap<string, Uint8Array>;
  private readonly manifest: Uint8Array;

  constructor(private readonly scenario: SourcesScenario) {
    const { number, contentSizeBytes, blockSizeBytes, fileCount } = scenario;
    this.manifest = encodeManifest(createManifestOfFiles(contentSizeBytes, fileCount));
    const create = (seed: string) => ({
      ...withDigests(objectName, createContent(seed, contentSizeBytes), blockSizeBytes),
      manifest: this.manifest,
    });
    this.right = create(`right ${number}`);
    this.other = create(`other ${number}`);
    const entries = [this.right, this.other].map(({ digestTree, content }) => {
      return [Buffer.from(digestTree.root()).toString('hex'), content] as const;
    });
    this.contents = new Map(entries);
  }

  servedBy({ served, wrongBlocks }: SourceScenario): ServedObject[] {
    const { right, other, manifest } = this;
    switch (served) {
      case 'right':
        return [right];
      case 'other':
        return [other];
      case 'wrong-blocks':
        return [withWrongBlocks(right, wrongBlocks, this.scenario.blockSizeBytes)];
      case 'wrong-digests':
        return [withWrongDigests(right)];
      case 'wrong-manifest': {
        const wrong = manifest.slice();
        wrong[wrong.length - 1] = (wrong.at(-1) as number) ^ 1;
        return [{ ...right, manifest: wrong, manifestDigest: hash(manifest) }];
      }
      case 'wrong-size': {
        const { contentSizeBytes, blockSizeBytes, fileCount } = this.scenario;
        // As many blocks as before.
        const sizeBytes = contentSizeBytes + (contentSizeBytes % blockSizeBytes === 1 ? 1 : -1);
        if (sizeBytes < 0) return [];
        const wrong = encodeManifest(createManifestOfFiles(sizeBytes, fileCount));
        return [withWrongSize(right, sizeBytes, wrong)];
      }
      case 'no-digests':
        return [{ name: right.name, content: right.content, manifest }];
      case 'nothing':
        return [];
    }
  }
}

/** A client that is watched. */
class WatchedFetchRole extends FetchRole {
  readonly watched: Life[] = [];

  constructor(
    private readonly network: Simulation,
    options: ConstructorParameters<typeof FetchRole>[1],
    private readonly contents: ReadonlyMap<string, Uint8Array>,
  ) {
    super(network, options);
    this.blockSizeBytes = options.blockSizeBytes as number;
  }

  private readonly blockSizeBytes: number;
  /** Hosts that the client has learned of later. A client that is started again is given them at once. */
  private readonly later: string[] = [];

  get hasEnded(): boolean {
    return this.watched.at(-1)?.result !== undefined;
  }

  name(source: string): void {
    this.later.push(source);
    this.join(source);
  }

  private join(source: string): void {
    const { network } = this;
    this.fetch?.join(network.nowMs, { name: source, address: Simulation.address(source) });
    this.bootHost?.drain();
  }

  private bootHost: SimulatedHost | undefined;

  override boot(host: SimulatedHost): Machine<FetchRoleEvent> {
    const machine = super.boot(host) as FetchMachine;
    this.bootHost = host;
    this.watched.push(new Life(machine, this.network, this.contents, this.blockSizeBytes));
    for (const source of this.later) this.join(source);
    return machine;
  }

  override handleEvent(event: FetchRoleEvent): void {
    this.watched.at(-1)?.handleEvent(event);
    super.handleEvent(event);
  }

  handleTaken(): void {
    this.watched.at(-1)?.look();
  }
}

/** Watches one life of the client from inside. */
class Life implements ClientLife {
  readonly events: FetchRoleEvent[] = [];
  result: FetchResult | undefined;
  endMs: TimeMs | undefined;
  missingBlocks: number | undefined;
  askedBlocks = 0;
  repeatedBlocks = 0;
  earlyRepeats = 0;
  againBlocks = 0;
  duplicateBlocks = 0;
  vainBlocks = 0;
  firstEvent = 0;
  private readonly segmentCounts = new Map<object, number>();
  readonly liars: string[] = [];
  mostAsked = 0;
  mostBufferedBytes = 0;
  private scheduler: FetchScheduler | undefined;
  /** For each source by its number in the schedule, the blocks that it was asked for when looked at last. */
  private readonly seen: RangeSet[] = [];
  private readonly askCounts = new Map<number, number>();

  constructor(
    private readonly machine: FetchMachine,
    private readonly simulation: Simulation,
    private readonly contents: ReadonlyMap<string, Uint8Array>,
    private readonly blockSizeBytes: number,
  ) {
    const { sources } = this;
    const poll = sources.pollAction.bind(sources);
    sources.pollAction = () => {
      this.look();
      const action = poll();
      if (action?.type === 'block') this.lookAtBlock(action);
      return action;
    };
  }

  private get fetch() {
    return this.machine['fetch'];
  }

  private get sources() {
    return this.fetch['sources'];
  }

  get arrivedSegments(): number {
    return [...this.segmentCounts.values()].reduce((sum, count) => sum + count, 0);
  }

  handleEvent(event: FetchRoleEvent): void {
    this.events.push(event);
    if (event.type !== 'end') return;
    this.result = event.result;
    this.endMs = this.simulation.nowMs;
  }

  look(): void {
    const scheduler = this.fetch['schedule']?.['scheduler'];
    const { usedBytes } = this.machine['port'].receiver['sessions'].budget;
    this.mostBufferedBytes = Math.max(this.mostBufferedBytes, usedBytes);
    for (const source of this.sources) {
      const supplier = this.sources.supplierOf(source);
      if (supplier !== undefined)
        this.segmentCounts.set(supplier, supplier.arrivedBytes / sourcesMssBytes);
    }
    if (scheduler === undefined || scheduler === this.scheduler) return;
    this.scheduler = scheduler;
    this.begin();
    this.missingBlocks = scheduler.report(0).missingBlocks;
    const poll = scheduler.pollChanged.bind(scheduler);
    scheduler.pollChanged = () => {
      const index = poll();
      if (index !== undefined) this.lookAtAsks(scheduler, index);
      return index;
    };
  }

  /** The client begins to fetch, perhaps after it has chosen again. */
  private begin(): void {
    this.askedBlocks = 0;
    this.repeatedBlocks = 0;
    this.againBlocks = 0;
    this.duplicateBlocks = 0;
    this.askCounts.clear();
    this.seen.length = 0;
    this.segmentCounts.clear();
    this.firstEvent = this.events.length;
  }

  private lookAtAsks(scheduler: FetchScheduler, index: number): void {
    const wanted = scheduler.wantedFrom(index);
    const seen = this.seen[index] ?? new RangeSet();
    for (const { start, end } of wanted.ranges()) {
      for (const fresh of seen.gaps(start, end)) {
        for (let block = fresh.start; block < fresh.end; block++)
          this.lookAtAsk(scheduler, index, block);
      }
    }
    this.seen[index] = new RangeSet(wanted.ranges());
    this.mostAsked = Math.max(this.mostAsked, wanted.count);
  }

  private lookAtAsk(scheduler: FetchScheduler, index: number, block: number): void {
    this.askedBlocks++;
    const before = this.askCounts.get(block) ?? 0;
    this.askCounts.set(block, before + 1);
    const isElsewhere = scheduler['live'].some(
      (other) => other.index !== index && other.asked.has(block),
    );
    if (isElsewhere) this.repeatedBlocks++;
    else if (before > 0) this.againBlocks++;
    if (isElsewhere && !scheduler['unasked'].isEmpty) this.earlyRepeats++;
  }

  private lookAtBlock({ source, block, bytes }: Extract<SourceAction, { type: 'block' }>): void {
    const { blockSizeBytes } = this;
    const { object } = this.fetch;
    if (this.scheduler === undefined || object === undefined) return;
    if (this.fetch.activity !== 'fetching' || !object.missing.has(block)) {
      this.duplicateBlocks++;
      if ((this.askCounts.get(block) ?? 0) < 2) this.vainBlocks++;
      return;
    }
    const content = this.contents.get(object.info.contentRoot);
    const right = content?.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
    const isRight = right !== undefined && Buffer.from(right).equals(bytes);
    if (!isRight && !this.liars.includes(source.name)) this.liars.push(source.name);
  }
}
