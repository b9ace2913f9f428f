/**
 * Decides which block of one object is asked of which source. It is pure: time is an argument, and what it wants is
 * polled.
 *
 * A source is asked for what keeps it busy, in contiguous runs from the first missing block on, if it would deliver
 * them before the other sources could; for what hardly anybody else holds first. So the shares follow the speeds, and a slow source does not hold up the end.
 * A source that slows down loses what the others would deliver much earlier, and a source that leaves loses
 * everything. When each missing block is asked of a source, idle sources are asked for the same blocks as slower
 * ones: that is the last window.
 */
import { assert, at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { RangeSet, type ReadonlyRangeSet } from '../../base/range-set.js';
import type { FetchEvent, FetchReport, ReplacedReason, SourceIndex } from './fetch-events.js';
import { FetchSource, type FetchSourceOptions } from './fetch-source.js';
import { lateSegment, type OpenSegment, toFetchSegment } from './open-segments.js';
import { Retries } from './retries.js';
import type { FetchSchedulerOptions } from './scheduler-options.js';
import { crowdPart } from './sharing/crowd-parts.js';
import { cutEqually, takeOver } from './sharing/equal-parts.js';
import { greatest } from './sharing/greatest.js';
import { latestFor } from './sharing/last-window.js';
import { nextRun } from './sharing/rarest-first.js';
import { SourceRate } from './source-rate.js';

/** Sources are compared this often, because their estimates change with time. */
const tickMs = 20;

/** A window is filled up by runs of at least this part of it, so that sources read contiguous runs. */
const runsPerWindow = 4;

/**
 * The only source is asked for more than one window, because no other would deliver anything sooner. Then it does not run
 * dry either if what is asked reaches it late, as behind the content that a relay sends by the same link.
 */
const windowsOfOnly = 3;

/** A slow source loses a block if another source would deliver it in less than this part of the time. */
const lossFactor = 2;
const lossMarginMs = 100;

export class FetchScheduler {
  private readonly missing: RangeSet;
  /**
   * Missing blocks that nobody is asked for. With the equal split, each source has a pool of its own instead, and
   * here are only the blocks for which there is no source.
   */
  private readonly unasked: RangeSet;
  /** Missing blocks that cannot be asked for yet. */
  private readonly later: RangeSet;
  /** The missing blocks that are asked for before others. */
  private readonly urgent = new RangeSet();
  private readonly sources: FetchSource[] = [];
  /** Sources that have not left. */
  private readonly live: FetchSource[] = [];
  private readonly retries = new Retries();
  /** Blocks that may be asked of several sources. */
  private readonly shared = new RangeSet();
  private readonly changed = new Set<SourceIndex>();
  private readonly events = new Queue<FetchEvent>();
  private hasBegun = false;
  private begunAtMs: TimeMs = 0;
  private dueAtMs: TimeMs = 0;
  private deliveredBytes = 0;
  private duplicateBytes = 0;
  private receivedBytes = 0;
  private readonly rate = new SourceRate(0);

  constructor(private readonly options: FetchSchedulerOptions) {
    this.missing = new RangeSet(options.missing.ranges());
    this.unasked = new RangeSet(options.isOnDemand === true ? [] : options.missing.ranges());
    this.later = new RangeSet(options.later?.ranges());
    for (const { start, end } of this.later.ranges()) this.unasked.remove(start, end);
  }

  // --- Sources

  /** A source can be asked from now on. @returns its number, which is not used again */
  join(nowMs: TimeMs, options: FetchSourceOptions): SourceIndex {
    const index = this.sources.length;
    assert(
      this.isBySpeed || options.holds === undefined,
      'a source of equal parts holds everything',
    );
    const pool = this.isBySpeed ? this.unasked : new RangeSet();
    const source = new FetchSource(index, options, pool, this.options.blockSizeBytes);
    this.sources.push(source);
    this.live.push(source);
    if (!this.hasBegun) return index;
    if (!this.isBySpeed) this.shareOut();
    this.serveAll(nowMs);
    return index;
  }

  /** Begins to ask the sources that have joined. */
  begin(nowMs: TimeMs): void {
    assert(!this.hasBegun, 'a fetch begins once');
    this.hasBegun = true;
    this.begunAtMs = nowMs;
    if (this.missing.isEmpty) this.events.push({ type: 'complete', atMs: nowMs });
    if (!this.isBySpeed) this.shareOut();
    this.serveAll(nowMs);
  }

  /** A source cannot be asked any more. The others are asked for its blocks. */
  leave(nowMs: TimeMs, index: SourceIndex, reason: string): void {
    this.remove(nowMs, at(this.sources, index), reason, 'left');
  }

  /**
   * Takes the measurements of a source. Call it before `handleBlock` and `handleTimeout`. The first call sets from
   * where bytes count.
   * @param receivedBytes all bytes that have arrived from the source, also of incomplete blocks
   */
  update(nowMs: TimeMs, index: SourceIndex, receivedBytes: number, rttMs?: number): void {
    this.receivedBytes += at(this.sources, index).update(nowMs, receivedBytes, rttMs);
  }

  /** Whether a source sets its own pace. It is then asked for everything that nobody is asked for. */
  setPace(index: SourceIndex, isOwn: boolean): void {
    at(this.sources, index).setsPace = isOwn;
  }

  // --- Blocks

  /** A verified block has arrived from a source. */
  handleBlock(nowMs: TimeMs, index: SourceIndex, block: number): void {
    const source = at(this.sources, index);
    const sizeBytes = this.sizeOf(block);
    if (!this.missing.has(block)) {
      this.duplicateBytes += sizeBytes;
      return;
    }
    this.missing.remove(block, block + 1);
    this.urgent.remove(block, block + 1);
    this.retries.delete(block);
    this.deliveredBytes += sizeBytes;
    source.deliver(nowMs, block, sizeBytes);
    if (!source.asked.has(block)) this.reportLateBlock(nowMs, source, block);
    const isElsewhere = this.shared.has(block) || !source.asked.has(block);
    this.unask(nowMs, source, block);
    if (isElsewhere) this.withdraw(nowMs, block);
    if (this.missing.isEmpty) this.events.push({ type: 'complete', atMs: nowMs });
    else if (isElsewhere) this.serveAll(nowMs);
    else if (!source.hasLeft) this.serve(nowMs, source);
  }

  /** A source has sent a block with wrong content: it is dropped. */
  handleBadBlock(nowMs: TimeMs, index: SourceIndex): void {
    const source = at(this.sources, index);
    if (source.hasLeft) return;
    this.events.push({ type: 'drop', source: index, reason: 'bad-block' });
    this.remove(nowMs, source, 'sent a bad block', 'bad-block');
  }

  /** Of these blocks, those that are missing can be asked for from now on. The others turn out to be held. */
  release(nowMs: TimeMs, blocks: ReadonlyRangeSet, missing: ReadonlyRangeSet): void {
    if (this.missing.isEmpty) return;
    for (const { start, end } of blocks.ranges()) {
      this.later.remove(start, end);
      this.unasked.add(start, end);
      for (const held of missing.gaps(start, end))
        for (const set of [this.missing, this.unasked]) set.remove(held.start, held.end);
    }
    if (this.missing.isEmpty) this.events.push({ type: 'complete', atMs: nowMs });
    this.serveAll(nowMs);
  }

  /** Blocks that had arrived, or were held, turn out to be missing. */
  handleMissing(nowMs: TimeMs, startBlock: number, endBlock: number): void {
    for (const { start, end } of this.missing.gaps(startBlock, endBlock)) {
      this.unasked.add(start, end);
    }
    this.missing.add(startBlock, endBlock);
    if (!this.hasBegun) return;
    if (!this.isBySpeed) this.shareOut();
    this.serveAll(nowMs);
  }

  /** Somebody waits for these blocks: those that are missing are asked for before others. */
  hurry(nowMs: TimeMs, startBlock: number, endBlock: number): void {
    assert(this.isBySpeed, 'equal parts are in order');
    for (let block = startBlock; block < endBlock; block++) {
      const isFree = this.missing.has(block) && !this.live.some(({ asked }) => asked.has(block));
      if (isFree) for (const set of [this.urgent, this.unasked]) set.add(block, block + 1);
    }
    this.serveAll(nowMs);
  }

  /** Asks for all that is missing from now on, also if nobody waits for it. */
  fetchAll(nowMs: TimeMs): void {
    for (const { start, end } of this.missing.ranges()) this.unasked.add(start, end);
    const taken = [this.later, ...this.live.map(({ asked }) => asked)];
    for (const set of taken)
      for (const { start, end } of set.ranges()) this.unasked.remove(start, end);
    this.serveAll(nowMs);
  }

  // --- Time

  handleTimeout(nowMs: TimeMs): void {
    if (nowMs < this.dueAtMs) return;
    this.dueAtMs = nowMs + tickMs;
    this.rate.update(nowMs, this.receivedBytes, this.begunAtMs);
    for (const source of this.live) source.handleTimeout(nowMs);
    if (this.isBySpeed) for (const source of this.live) this.relieve(nowMs, source);
    this.serveAll(nowMs);
  }

  /** The time at which to call `handleTimeout`, if any. */
  pollTimeout(): TimeMs | undefined {
    const isIdle = !this.hasBegun || this.isComplete || this.live.length === 0;
    return isIdle ? undefined : this.dueAtMs;
  }

  // --- Outputs

  get isComplete(): boolean {
    return this.missing.isEmpty;
  }

  /** Removes and returns the next source whose `wantedFrom` has changed, if any. */
  pollChanged(): SourceIndex | undefined {
    for (const index of this.changed) {
      this.changed.delete(index);
      return index;
    }
    return undefined;
  }

  /** The blocks that this source shall deliver now. */
  wantedFrom(index: SourceIndex): ReadonlyRangeSet {
    return at(this.sources, index).asked;
  }

  /** Whether the source delivers much less than it once did, or nothing any more. */
  hasSlowedDown(index: SourceIndex): boolean {
    const source = at(this.sources, index);
    return source.hasLeft || source.hasSlowedDown;
  }

  /** Removes and returns the oldest event, if any. */
  pollEvent(): FetchEvent | undefined {
    return this.events.shift();
  }

  report(nowMs: TimeMs): FetchReport {
    return {
      missingBlocks: this.missing.count,
      deliveredBytes: this.deliveredBytes,
      duplicateBytes: this.duplicateBytes,
      rateBytesPerSec: this.rate.bytesPerSec,
      possibleBytesPerSec: this.live.reduce((sum, source) => sum + (source.measuredRate ?? 0), 0),
      sources: this.sources.map((source) => source.report(nowMs, this.deliveredBytes)),
    };
  }

  // --- Asking

  private get isBySpeed(): boolean {
    return this.options.split === 'speed';
  }

  /** Serves the sources that would deliver first before the others. */
  private serveAll(nowMs: TimeMs): void {
    if (!this.hasBegun) return;
    this.live.sort((a, b) => a.arrivalMs(1) - b.arrivalMs(1) || a.index - b.index);
    for (const source of this.live) this.serve(nowMs, source);
  }

  private serve(nowMs: TimeMs, source: FetchSource): void {
    if (!this.hasBegun) return;
    if (!this.isBySpeed) takeOver(nowMs, source, this.live);
    this.fill(nowMs, source);
    if (!this.later.isEmpty || this.live.some(({ pool }) => !pool.isEmpty)) return;
    // Equal parts stay equal while their sources deliver anything.
    const isSlow = (other: FetchSource) => this.isBySpeed || other.isStalled(nowMs);
    this.repeat(nowMs, source, this.live.filter(isSlow));
  }

  /** Fills the window of a source from its pool. */
  private fill(nowMs: TimeMs, source: FetchSource): void {
    const { pool } = source;
    const { beginsAt, contentSizeBytes, blockSizeBytes } = this.options;
    const firstBlock = Math.floor(((beginsAt ?? 0) * contentSizeBytes) / blockSizeBytes);
    // In an exchange, others will soon deliver the same.
    const isOnly = this.live.length === 1 && beginsAt === undefined;
    const windowCount = isOnly ? windowsOfOnly : 1;
    const mostBlocks = Math.min(windowCount * source.mostBlocks, this.fairCount(source));
    let room = mostBlocks - source.asked.count;
    if (room < Math.min(Math.ceil(mostBlocks / runsPerWindow), pool.count)) return;
    source.part = crowdPart(source, this.live, Math.ceil(contentSizeBytes / blockSizeBytes));
    while (room > 0) {
      const run = nextRun(source, this.live, this.urgent, firstBlock);
      if (run === undefined) return;
      const { start } = run;
      const mostEnd = this.retries.runEnd(start, Math.min(run.end, start + room));
      const count = this.usefulCount(source, start, mostEnd - start);
      if (count === 0) return;
      pool.remove(start, start + count);
      this.ask(nowMs, source, start, start + count);
      room -= count;
    }
  }

  /** While nothing is known of its speed, a source gets no more than an equal share of the missing blocks. */
  private fairCount(source: FetchSource): number {
    if (!this.isBySpeed || source.isMeasured || source.setsPace) return Infinity;
    return Math.ceil(this.missing.count / this.live.length);
  }

  /**
   * How many of the blocks from this one on the source would deliver before the other sources would have
   * delivered everything that nobody is asked for. The source that delivers first takes at least one.
   */
  private usefulCount(source: FetchSource, block: number, mostCount: number): number {
    if (!this.isBySpeed || !source.isMeasured || source.setsPace) return mostCount;
    let [askedBlocks, blocksPerMs, firstMs] = [0, 0, Infinity];
    for (const other of this.live) {
      if (other === source || !other.holds(block)) continue;
      askedBlocks += other.asked.count;
      blocksPerMs += other.blocksIn(1);
      firstMs = Math.min(firstMs, other.arrivalMs(1));
    }
    if (blocksPerMs === 0) return mostCount;
    const laterBlocks = this.unasked.count + this.later.count;
    const isUseful = (count: number): boolean => {
      const othersMs = (askedBlocks + laterBlocks - count + 1) / blocksPerMs;
      return source.arrivalMs(count) <= Math.max(firstMs, othersMs);
    };
    return greatest(mostCount, isUseful);
  }

  /** In the last window, asks a source for blocks that it would deliver clearly earlier than the others. */
  private repeat(nowMs: TimeMs, source: FetchSource, others: readonly FetchSource[]): void {
    while (source.asked.count < source.windowBlocks) {
      const block = latestFor(nowMs, source, others, this.shared);
      if (block === undefined) return;
      this.shared.add(block, block + 1);
      this.ask(nowMs, source, block, block + 1);
    }
  }

  private ask(nowMs: TimeMs, source: FetchSource, startBlock: number, endBlock: number): void {
    this.urgent.remove(startBlock, endBlock);
    source.ask(nowMs, startBlock, endBlock, this.retries.countOf(startBlock));
    this.changed.add(source.index);
  }

  // --- Losing blocks

  /** Takes blocks from a source that has become so slow that others would deliver them much earlier. */
  private relieve(nowMs: TimeMs, source: FetchSource): void {
    const { windowBlocks, mostBlocks } = source;
    if (source.asked.count <= mostBlocks) return;
    const last = source.asked.previousFrom(Infinity);
    let firstMs = Infinity;
    for (const other of this.live) {
      const isFor = other !== source && last !== undefined && other.holds(last);
      if (isFor) firstMs = Math.min(firstMs, other.arrivalMs(1));
    }
    const keptMs = lossFactor * firstMs + lossMarginMs - source.pendingMs(nowMs, 0);
    const kept = Math.floor(source.blocksIn(Math.max(0, keptMs)));
    const count = source.asked.count - Math.max(windowBlocks, kept);
    if (count > 0) this.replace(nowMs, source, count, 'slow');
  }

  private remove(nowMs: TimeMs, source: FetchSource, text: string, reason: ReplacedReason): void {
    if (source.hasLeft) return;
    source.leave(text);
    this.live.splice(this.live.indexOf(source), 1);
    this.replace(nowMs, source, source.asked.count, reason);
    if (!this.isBySpeed) {
      for (const { start, end } of source.pool.ranges()) this.unasked.add(start, end);
      source.pool.clear();
      if (this.hasBegun) this.shareOut();
    }
    this.serveAll(nowMs);
  }

  /** Takes the last `count` blocks from a source. Those that nobody else is asked for can be asked for again. */
  private replace(nowMs: TimeMs, source: FetchSource, count: number, reason: ReplacedReason): void {
    const { lost, finished } = source.replace(count, reason);
    for (const { start, end } of lost.ranges()) {
      this.unasked.add(start, end);
      this.retries.add(start, end);
    }
    for (const other of this.live) {
      if (this.shared.isEmpty) break;
      for (const { start, end } of other.asked.ranges()) this.unasked.remove(start, end);
    }
    this.changed.add(source.index);
    for (const segment of finished) this.reportSegment(nowMs, source, segment);
  }

  /** Nobody needs to be asked for this block any more. */
  private withdraw(nowMs: TimeMs, block: number): void {
    this.unasked.remove(block, block + 1);
    this.shared.remove(block, block + 1);
    for (const other of this.live) {
      other.pool.remove(block, block + 1);
      this.unask(nowMs, other, block);
    }
  }

  private unask(nowMs: TimeMs, source: FetchSource, block: number): void {
    if (!source.asked.has(block)) return;
    const finished = source.unask(block);
    this.changed.add(source.index);
    if (finished !== undefined) this.reportSegment(nowMs, source, finished);
  }

  /** Shares the blocks for which there is no source equally among the sources. */
  private shareOut(): void {
    if (this.live.length === 0) return;
    const sources = this.live.toSorted((a, b) => a.index - b.index);
    for (const [i, part] of cutEqually(this.unasked, sources.length).entries()) {
      for (const { start, end } of part.ranges()) at(sources, i).pool.add(start, end);
    }
    this.unasked.clear();
  }

  // --- Segments

  private reportSegment(nowMs: TimeMs, { index }: FetchSource, segment: OpenSegment): void {
    const event = toFetchSegment(segment, index, this.options.blockSizeBytes, nowMs);
    // Otherwise another source was faster.
    if (event.sizeBytes > 0 || event.replaced !== undefined) this.events.push(event);
  }

  /** A source delivers a block that it had lost. The segment of the block is reported already. */
  private reportLateBlock(nowMs: TimeMs, source: FetchSource, block: number): void {
    this.reportSegment(nowMs, source, lateSegment(nowMs, block, this.sizeOf(block)));
  }

  private sizeOf(block: number): number {
    const { contentSizeBytes, blockSizeBytes } = this.options;
    return Math.min(blockSizeBytes, contentSizeBytes - block * blockSizeBytes);
  }
}
