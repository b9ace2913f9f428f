/** Runs a fetch scenario in virtual time, and watches what the scheduler asks for. */
import { at } from '../../src/base/assert.js';
import type { TimeMs } from '../../src/base/machine.js';
import { createRandom, type Random } from '../../src/base/random.js';
import { RangeSet } from '../../src/base/range-set.js';
import type { FetchReport, FetchSegment } from '../../src/roles/fetch/fetch-events.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { EventQueue } from '../../src/simulator/event-queue.js';
import type { FetchScenario, ModelSourceOptions } from './fetch-scenario.js';
import { ModelSource } from './model-source.js';

export interface FetchRun {
  /** When the last block arrived; undefined if the fetch did not come to its end. */
  readonly endMs: TimeMs | undefined;
  readonly report: FetchReport;
  /** Missing blocks whose stored content is wrong, or that are not stored. */
  readonly wrongBlocks: number;
  readonly segments: readonly FetchSegment[];
  /** Blocks asked of a second source while there were blocks that nobody was asked for. */
  readonly earlyRepeats: number;
  /** Blocks that were asked for though they had arrived, or of a source that does not hold them or has left. */
  readonly vainAsks: number;
  /** Sources that sent a bad block. */
  readonly liars: readonly number[];
  readonly dropped: readonly number[];
  /** For each source, the largest number of blocks that it was asked for at a time. */
  readonly mostAsked: readonly number[];
  readonly mostRanges: number;
  readonly repeatedBlocks: number;
  readonly trace: readonly string[];
}

/** Requests leave at most this often, as reports do. */
const requestIntervalMs = 5;

const longestMs = 20 * 60_000;

interface Host {
  readonly options: ModelSourceOptions;
  readonly model: ModelSource;
  readonly random: Random;
  /** Its number at the scheduler, while it is joined. */
  index: number | undefined;
  wakeMs: TimeMs;
  requestAtMs: TimeMs;
  seen: RangeSet;
  /** The blocks that it holds; undefined for all, and before it joins. */
  held: RangeSet | undefined;
}

export function runFetch(
  scenario: FetchScenario,
  create = (options: ConstructorParameters<typeof FetchScheduler>[0]) =>
    new FetchScheduler(options),
): FetchRun {
  return new FetchModel(scenario, create).run();
}

class FetchModel {
  private readonly queue = new EventQueue();
  private nowMs: TimeMs = 0;
  private readonly missing: RangeSet;
  private readonly scheduler: FetchScheduler;
  private readonly hosts: Host[];
  /** By the scheduler's number. */
  private readonly joined: Host[] = [];
  private readonly good = new RangeSet();
  private readonly segments: FetchSegment[] = [];
  private readonly liars = new Set<number>();
  private readonly dropped: number[] = [];
  private readonly mostAsked: number[] = [];
  private readonly trace: string[] = [];
  private readonly repeated = new RangeSet();
  private endMs: TimeMs | undefined;
  private timeoutMs: TimeMs | undefined;
  private earlyRepeats = 0;
  private vainAsks = 0;
  private mostRanges = 0;
  private wrongStored = 0;

  constructor(
    private readonly scenario: FetchScenario,
    create: (options: ConstructorParameters<typeof FetchScheduler>[0]) => FetchScheduler,
  ) {
    this.missing = new RangeSet(scenario.missing);
    this.scheduler = create({ ...scenario, missing: this.missing });
    this.hosts = scenario.sources.map((options, i) => ({
      options,
      model: new ModelSource(options, (block) => this.sizeOf(block)),
      random: createRandom('fetch content', scenario.number, i),
      index: undefined,
      wakeMs: Infinity,
      requestAtMs: -Infinity,
      seen: new RangeSet(),
      held: undefined,
    }));
  }

  run(): FetchRun {
    for (const host of this.hosts) {
      const { joinAtMs, leaveAtMs, holds = [] } = host.options;
      if (joinAtMs > 0) this.queue.push(joinAtMs, () => this.join(host));
      else this.join(host);
      if (leaveAtMs !== undefined) this.queue.push(leaveAtMs, () => this.leave(host));
      for (const { atMs, range } of holds) {
        if (atMs > joinAtMs) this.queue.push(atMs, () => this.hold(host, range.start, range.end));
      }
    }
    this.scheduler.begin(0);
    this.drain();
    while (this.endMs === undefined && this.nowMs < longestMs) {
      const { nextAtMs } = this.queue;
      if (nextAtMs === undefined) break;
      this.nowMs = nextAtMs;
      this.queue.pop()?.();
      this.drain();
    }
    return {
      endMs: this.endMs,
      report: this.scheduler.report(this.nowMs),
      wrongBlocks: this.missing.count - this.good.count + this.wrongStored,
      segments: this.segments,
      earlyRepeats: this.earlyRepeats,
      vainAsks: this.vainAsks,
      liars: [...this.liars],
      dropped: this.dropped,
      mostAsked: this.mostAsked,
      mostRanges: this.mostRanges,
      repeatedBlocks: this.repeated.count,
      trace: this.trace,
    };
  }

  // --- What happens to sources

  private join(host: Host): void {
    const { rttMs, joinAtMs, holds } = host.options;
    const first = holds?.filter(({ atMs }) => atMs <= joinAtMs).map(({ range }) => range);
    const index = this.joined.length;
    host.index = index;
    this.joined.push(host);
    this.mostAsked.push(0);
    const name = `source ${index}`;
    host.held = first && new RangeSet(first);
    const held = host.held === undefined ? {} : { holds: host.held };
    this.scheduler.join(this.nowMs, { name, rttMs, ...held });
  }

  private leave(host: Host): void {
    if (host.index === undefined || this.dropped.includes(host.index)) return;
    this.scheduler.leave(this.nowMs, host.index, 'is dead');
    host.index = undefined;
  }

  private hold(host: Host, start: number, end: number): void {
    host.held?.add(start, end);
  }

  // --- Blocks

  private advance(host: Host): void {
    const block = host.model.advance(this.nowMs);
    if (host.index === undefined || this.dropped.includes(host.index)) return;
    const { index, options } = host;
    this.scheduler.update(this.nowMs, index, host.model.bytes, options.rttMs);
    if (block === undefined) return;
    if (host.random() < options.badProbability) {
      this.liars.add(index);
      this.scheduler.handleBadBlock(this.nowMs, index);
      return;
    }
    this.good.add(block, block + 1);
    this.scheduler.handleBlock(this.nowMs, index, block);
    if (this.good.count === Math.ceil(this.missing.count / 2)) this.killAtHalf();
  }

  private killAtHalf(): void {
    for (const host of this.hosts) {
      const { diesAtHalf } = host.options;
      if (diesAtHalf === undefined) continue;
      host.model.die();
      const { foundAfterMs } = diesAtHalf;
      if (foundAfterMs === undefined) continue;
      this.queue.push(this.nowMs + foundAfterMs, () => this.leave(host));
    }
  }

  private wake(host: Host): void {
    const nextMs = host.model.nextMs(this.nowMs);
    if (nextMs === undefined || nextMs === host.wakeMs) return;
    host.wakeMs = nextMs;
    this.queue.push(nextMs, () => {
      if (host.wakeMs !== nextMs) return;
      host.wakeMs = Infinity;
      this.advance(host);
      this.wake(host);
    });
  }

  /** The request takes a round trip, and blocks come without delay: the sum is the same. */
  private request(host: Host, index: number): void {
    if (host.requestAtMs >= this.nowMs) return;
    host.requestAtMs = Math.max(this.nowMs, host.requestAtMs + requestIntervalMs);
    this.queue.push(host.requestAtMs, () => {
      const wanted = new RangeSet(this.scheduler.wantedFrom(index).ranges());
      this.queue.push(this.nowMs + host.options.rttMs, () => {
        this.advance(host);
        host.model.want(wanted);
        this.wake(host);
      });
    });
  }

  // --- The scheduler

  private drain(): void {
    const { scheduler } = this;
    for (;;) {
      const index = scheduler.pollChanged();
      if (index === undefined) break;
      this.watch(index);
      this.request(at(this.joined, index), index);
    }
    for (;;) {
      const event = scheduler.pollEvent();
      if (event === undefined) break;
      this.trace.push(JSON.stringify(event));
      if (event.type === 'segment') this.segments.push(event);
      else if (event.type === 'drop') this.dropped.push(event.source);
      else this.endMs ??= event.atMs;
    }
    const ranges = scheduler['unasked'].rangeCount + scheduler['missing'].rangeCount;
    this.mostRanges = Math.max(this.mostRanges, ranges);
    const timeoutMs = scheduler.pollTimeout();
    if (timeoutMs === undefined || timeoutMs === this.timeoutMs) return;
    this.timeoutMs = timeoutMs;
    this.queue.push(Math.max(timeoutMs, this.nowMs), () => {
      if (this.timeoutMs === timeoutMs) this.timeoutMs = undefined;
      for (const host of this.hosts) this.advance(host);
      this.scheduler.handleTimeout(this.nowMs);
    });
  }

  /** Checks the blocks that are newly asked of a source. */
  private watch(index: number): void {
    const host = at(this.joined, index);
    const wanted = this.scheduler.wantedFrom(index);
    const isGone = host.index === undefined || this.dropped.includes(index);
    if (isGone) this.vainAsks += wanted.count;
    for (const { start, end } of wanted.ranges()) {
      for (const fresh of host.seen.gaps(start, end)) {
        for (let block = fresh.start; block < fresh.end; block++) this.watchBlock(host, block);
      }
    }
    host.seen = new RangeSet(wanted.ranges());
    this.mostAsked[index] = Math.max(at(this.mostAsked, index), wanted.count);
  }

  private watchBlock(host: Host, block: number): void {
    const { holds } = host.options;
    const isHeld = holds?.some(
      ({ atMs, range }) => atMs <= this.nowMs && range.start <= block && block < range.end,
    );
    if (isHeld === false || this.good.has(block) || !this.missing.has(block)) this.vainAsks++;
    const others = this.joined.filter((other, i) => {
      return other !== host && this.scheduler.wantedFrom(i).has(block);
    });
    if (others.length === 0) return;
    this.repeated.add(block, block + 1);
    const unwanted = new RangeSet(this.missing.ranges());
    for (const { start, end } of this.good.ranges()) unwanted.remove(start, end);
    for (const [i] of this.joined.entries()) {
      for (const { start, end } of this.scheduler.wantedFrom(i).ranges())
        unwanted.remove(start, end);
    }
    if (!unwanted.isEmpty) this.earlyRepeats++;
  }

  private sizeOf(block: number): number {
    const { blockSizeBytes, contentSizeBytes } = this.scenario;
    return Math.min(blockSizeBytes, contentSizeBytes - block * blockSizeBytes);
  }
}
