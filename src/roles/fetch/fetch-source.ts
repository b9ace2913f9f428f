/** What a fetch knows of one source: what is asked of it, how fast it delivers, and what it has delivered. */

import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { type Range, RangeSet, type ReadonlyRangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ReplacedReason, SourceIndex, SourceReport, SourceState } from './fetch-events.js';
import { OpenSegments } from './open-segments.js';
import { SourceRate } from './source-rate.js';

/** A source is asked for what it delivers in a round trip and this time, so that it never runs dry. */
const reserveMs = 100;

/** While its rate grows, it is asked for what it delivers in this many round trips, so that the rate can double. */
const growthRounds = 3;

/** The window before anything is known of the source. */
const firstWindowBlocks = 8;

const maxWindowBlocks = 8192;

/** Assumed until the round-trip time is known. */
const firstRttMs = 100;

/** Without any bytes for this time, the source counts as stalled. */
const stallMs = 1000;

export interface FetchSourceOptions {
  readonly name: string;
  /** The round-trip time, if it is known. An early answer corrects an estimate that is too high. */
  readonly rttMs?: number;
  /** The blocks that the source holds, which can become more; all if it is undefined. */
  readonly holds?: ReadonlyRangeSet;
  /** The number of its session, the same for all clients of a crowd. */
  readonly session?: number;
}

interface Ask {
  readonly atMs: TimeMs;
  /** The number of blocks that the source was asked for up to this one. */
  readonly total: number;
  readonly retries: number;
}

export class FetchSource {
  readonly name: string;
  /**
   * Whether the source sets its own pace, because it serves several hosts at once by multicast. If each of them wants
   * all that it misses, they want the same blocks at the same time.
   */
  setsPace = false;
  /** The blocks that may be asked of the source. */
  part: Range = { start: 0, end: Infinity };
  readonly session: number;
  /** Blocks that are asked of the source now. */
  private readonly askedBlocks = new RangeSet();
  /** The blocks that it holds; undefined if it holds all. */
  readonly held: ReadonlyRangeSet | undefined;
  private readonly segments = new OpenSegments();
  private readonly rate: SourceRate;
  private rtt: number;
  private delivered = 0;
  /** The asks whose blocks are not all here. */
  private readonly asks = new Queue<Ask>();
  private askedTotal = 0;
  private replacedCount = 0;
  private replacedReason: ReplacedReason | undefined;
  private leftReason: string | undefined;

  /** @param pool the blocks that may be asked of the source */
  constructor(
    readonly index: SourceIndex,
    { name, rttMs = firstRttMs, holds, session = 0 }: FetchSourceOptions,
    readonly pool: RangeSet,
    private readonly blockSizeBytes: number,
  ) {
    this.name = name;
    this.rtt = rttMs;
    this.held = holds;
    this.session = session;
    const guess = (1000 * firstWindowBlocks * blockSizeBytes) / (this.rtt + reserveMs);
    this.rate = new SourceRate(guess);
  }

  get hasLeft(): boolean {
    return this.leftReason !== undefined;
  }

  get asked(): ReadonlyRangeSet {
    return this.askedBlocks;
  }

  get deliveredBytes(): number {
    return this.delivered;
  }

  get rateBytesPerSec(): number {
    return this.rate.bytesPerSec;
  }

  /** In bytes per second; undefined while the rate is only a guess. */
  get measuredRate(): number | undefined {
    return this.rate.isMeasured ? this.rate.bytesPerSec : undefined;
  }

  get rttMs(): number {
    return this.rtt;
  }

  // --- Estimates

  /** The number of blocks that keep the source busy. A block that has arrived in part counts as well. */
  get windowBlocks(): number {
    return Math.min(1 + Math.ceil(this.blocksIn(this.spanMs)), maxWindowBlocks);
  }

  /** The most blocks to ask of the source. */
  get mostBlocks(): number {
    return this.setsPace ? Infinity : this.windowBlocks;
  }

  /** Whether its rate is more than a guess. */
  get isMeasured(): boolean {
    return this.rate.isMeasured;
  }

  /** Whether it delivers much less than it once did. */
  get hasSlowedDown(): boolean {
    return this.rate.hasSlowedDown;
  }

  /** The number of blocks that the source delivers in this time. */
  blocksIn(timeMs: number): number {
    return timeMs / this.blockMs;
  }

  /** The time until the last of `count` blocks that are asked for now will have arrived. */
  arrivalMs(count: number): number {
    const { blockMs } = this;
    return Math.max(this.rtt, this.askedBlocks.count * blockMs) + count * blockMs;
  }

  /**
   * The time until a block that is asked for will have arrived. A source that is silent is expected to stay silent
   * for as long again.
   * @param rank the number of asked blocks up to this one
   */
  pendingMs(nowMs: TimeMs, rank: number): number {
    return this.quietMs(nowMs) + rank * this.blockMs;
  }

  /** Whether it has delivered nothing for a while of what it is asked for. */
  isStalled(nowMs: TimeMs): boolean {
    return this.quietMs(nowMs) > stallMs;
  }

  /** The time for which something was due and nothing arrived. */
  private quietMs(nowMs: TimeMs): number {
    return Math.max(0, nowMs - Math.max(this.dueAtMs, this.rate.lastArrivalMs ?? 0));
  }

  /** When the first of the asked blocks could be here; infinite if there are none. */
  private get dueAtMs(): TimeMs {
    return (this.asks.first?.atMs ?? Infinity) + this.rtt;
  }

  /** The time between two blocks. */
  get blockMs(): number {
    return (1000 * this.blockSizeBytes) / Math.max(1, this.rate.bytesPerSec);
  }

  private get spanMs(): number {
    const roundsMs = this.rate.isGrowing ? growthRounds * this.rtt : 0;
    return Math.max(this.rtt + reserveMs, roundsMs);
  }

  // --- Held blocks

  holds(block: number): boolean {
    return this.held === undefined || this.held.has(block);
  }

  /** The first block of the pool, from this one on, that may be asked of the source. */
  nextInPool(fromBlock: number): number | undefined {
    let block = this.pool.nextFrom(Math.max(fromBlock, this.part.start));
    while (block !== undefined && !this.holds(block)) {
      const next = this.held?.nextFrom(block);
      block = next === undefined ? undefined : this.pool.nextFrom(next);
    }
    return block === undefined || block < this.part.end ? block : undefined;
  }

  /** The beginning of the first of these runs of blocks that may be asked of the source. */
  firstOf(blocks: ReadonlyRangeSet): number | undefined {
    const { part } = this;
    for (const { start } of blocks.ranges()) {
      const isInPart = start >= part.start && start < part.end;
      if (isInPart && this.pool.has(start) && this.holds(start)) return start;
    }
    return undefined;
  }

  /** The end (exclusive) of the run of blocks that begins at this one and may be asked of the source. */
  runEnd(block: number): number {
    const heldEnd = this.held?.nextOutside(block) ?? Infinity;
    return Math.min(this.pool.nextOutside(block), heldEnd, this.part.end);
  }

  // --- Asked blocks

  ask(nowMs: TimeMs, startBlock: number, endBlock: number, retries: number): void {
    this.askedBlocks.add(startBlock, endBlock);
    this.askedTotal += endBlock - startBlock;
    this.asks.push({ atMs: nowMs, total: this.askedTotal, retries });
    this.segments.add(nowMs, startBlock, endBlock, retries);
  }

  /** @returns the segment that is finished by this, if any */
  unask(block: number) {
    this.askedBlocks.remove(block, block + 1);
    this.endAsks();
    return this.segments.takeFinished(block, this.askedBlocks);
  }

  /**
   * Takes the last `count` asked blocks away from the source.
   * @returns them, and the segments that are finished by this
   */
  replace(count: number, reason: ReplacedReason) {
    const { askedBlocks } = this;
    const lost = new RangeSet();
    while (lost.count < count) {
      const last = askedBlocks.previousFrom(Infinity);
      if (last === undefined) break;
      const start = Math.max(askedBlocks.previousOutside(last), last - (count - lost.count)) + 1;
      askedBlocks.remove(start, last + 1);
      lost.add(start, last + 1);
      this.segments.replace(start, last + 1, reason);
    }
    this.endAsks();
    this.replacedCount += lost.count;
    if (!lost.isEmpty) this.replacedReason = reason;
    return { lost, finished: this.segments.takeAllFinished(askedBlocks) };
  }

  /** Removes the asks that are over. Blocks are taken to arrive in the order in which they were asked for. */
  private endAsks(): void {
    const doneTotal = this.askedTotal - this.askedBlocks.count;
    while ((this.asks.first?.total ?? Infinity) <= doneTotal) this.asks.shift();
  }

  leave(reason: string): void {
    this.leftReason = reason;
  }

  // --- Arrivals

  /** @returns the number of bytes that are new */
  update(nowMs: TimeMs, receivedBytes: number, rttMs: number | undefined): number {
    if (rttMs !== undefined) this.rtt = rttMs;
    return this.rate.update(nowMs, receivedBytes, this.dueAtMs);
  }

  /** Time has passed in which nothing else was heard of the source. */
  handleTimeout(nowMs: TimeMs): void {
    this.rate.update(nowMs, undefined, this.dueAtMs);
  }

  deliver(nowMs: TimeMs, block: number, sizeBytes: number): void {
    const { first } = this.asks;
    // A block that had been lost might have been on its way already.
    if (first?.retries === 0 && this.askedBlocks.has(block))
      this.rtt = Math.min(this.rtt, nowMs - first.atMs);
    this.delivered += sizeBytes;
    this.segments.deliver(block, sizeBytes);
  }

  // --- Report

  /** @param totalBytes what all sources have delivered */
  report(nowMs: TimeMs, totalBytes: number): SourceReport {
    return {
      name: this.name,
      state: this.stateAt(nowMs),
      ...(this.leftReason === undefined ? {} : { reason: this.leftReason }),
      deliveredBytes: this.delivered,
      share: totalBytes === 0 ? 0 : this.delivered / totalBytes,
      ...withoutUndefined({ rateBytesPerSec: this.measuredRate }),
      rttMs: this.rtt,
      blocksInFlight: Math.min(this.askedBlocks.count, this.windowBlocks),
      blocksReplaced: this.replacedCount,
      ...(this.replacedReason === undefined ? {} : { replaced: this.replacedReason }),
    };
  }

  private stateAt(nowMs: TimeMs): SourceState {
    if (this.hasLeft) return 'left';
    if (this.askedBlocks.isEmpty) return 'waiting';
    const { lastArrivalMs } = this.rate;
    if (this.isStalled(nowMs)) return 'stalled';
    return lastArrivalMs === undefined ? 'starting' : 'delivering';
  }
}
