/** Watches what a fetch asks of its sources and what it gets from them, for the sweeps. */
import type { Machine, TimeMs } from '../../src/base/machine.js';
import { RangeSet } from '../../src/base/range-set.js';
import type { Fetch } from '../../src/roles/fetch/fetch.js';
import type { FetchMachine } from '../../src/roles/fetch/fetch-machine.js';
import type { FetchPort } from '../../src/roles/fetch/fetch-port.js';
import type { FetchResult, FetchRoleEvent } from '../../src/roles/fetch/fetch-result.js';
import type { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import type { SourceAction } from '../../src/roles/fetch/source-actions.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { FetchRole } from '../../src/simulator/roles/fetch.js';
import { Simulation } from '../../src/simulator/simulation.js';

/** What a fetch did. */
export interface FetchWatch {
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
  /** Whether only those blocks are fetched that somebody waits for. */
  readonly isOnDemand: boolean;
}

export interface WatchOptions {
  /** What the root of a content says that it is. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  readonly blockSizeBytes: number;
  readonly mssBytes: number;
}

/** Watches a fetch from inside. Call `look` after each datagram that its host has taken. */
export class WatchedFetch implements FetchWatch {
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
    private readonly fetch: Fetch,
    private readonly port: FetchPort,
    private readonly clock: { readonly nowMs: TimeMs },
    private readonly options: WatchOptions,
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

  private get sources() {
    return this.fetch['sources'];
  }

  get isOnDemand(): boolean {
    return this.fetch['isOnDemand'];
  }

  get arrivedSegments(): number {
    return [...this.segmentCounts.values()].reduce((sum, count) => sum + count, 0);
  }

  handleEvent(event: FetchRoleEvent): void {
    this.events.push(event);
    if (event.type !== 'end') return;
    this.result = event.result;
    this.endMs = this.clock.nowMs;
  }

  look(): void {
    const scheduler = this.fetch['schedule']?.['scheduler'];
    const { usedBytes } = this.port.receiver['sessions'].budget;
    this.mostBufferedBytes = Math.max(this.mostBufferedBytes, usedBytes);
    for (const source of this.sources) {
      const supplier = this.sources.supplierOf(source);
      if (supplier !== undefined)
        this.segmentCounts.set(supplier, supplier.arrivedBytes / this.options.mssBytes);
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
    const { blockSizeBytes, contents } = this.options;
    const { object } = this.fetch;
    if (this.scheduler === undefined || object === undefined) return;
    if (this.fetch.activity !== 'fetching' || !object.missing.has(block)) {
      this.duplicateBlocks++;
      if ((this.askCounts.get(block) ?? 0) < 2) this.vainBlocks++;
      return;
    }
    const content = contents.get(object.info.contentRoot);
    const right = content?.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
    const isRight = right !== undefined && Buffer.from(right).equals(bytes);
    if (!isRight && !this.liars.includes(source.name)) this.liars.push(source.name);
  }
}

/** A client that is watched. */
export class WatchedFetchRole extends FetchRole {
  readonly watched: WatchedFetch[] = [];

  constructor(
    private readonly network: Simulation,
    options: ConstructorParameters<typeof FetchRole>[1],
    private readonly contents: ReadonlyMap<string, Uint8Array>,
  ) {
    super(network, options);
    const { blockSizeBytes, mssBytes } = options;
    this.sizes = { blockSizeBytes, mssBytes } as Pick<WatchOptions, 'blockSizeBytes' | 'mssBytes'>;
  }

  private readonly sizes: Pick<WatchOptions, 'blockSizeBytes' | 'mssBytes'>;
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
    const { contents, sizes, network } = this;
    const options = { contents, ...sizes };
    this.watched.push(new WatchedFetch(machine['fetch'], machine['port'], network, options));
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
