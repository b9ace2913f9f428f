/**
 * Delivers the blocks of one session: opens blocks, sends their datagrams, and applies reports. What it needs
 * from outside, it queues as actions. `session/sender.ts` begins and ends the session.
 */
import type { Address } from '../base/address.js';
import { assert, at } from '../base/assert.js';
import type { Hash } from '../base/hash.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import { RangeSet } from '../base/range-set.js';
import { DigestTree } from '../object/digest-tree.js';
import { DigestViews } from '../object/digest-view.js';
import type { SessionGeometry } from '../object/geometry.js';
import { isManifestBlock, offsetOfBlock, sizeOfBlock } from '../object/geometry.js';
import { hashLeaf } from '../object/hash-tree.js';
import type { CreateCongestionController } from '../path/congestion/congestion-control.js';
import { RateLimit } from '../path/pacer.js';
import type { Path } from '../path/path.js';
import type { BlockSeal } from '../security/block-seal.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { burstsAhead } from '../wire/header.js';
import type { Report } from '../wire/report.js';
import { maxBatchSegments } from '../wire/segment-size.js';
import type { Destination } from './batch.js';
import { BatchEncoder } from './batch.js';
import { BatchJoiner } from './batch-joiner.js';
import type { NeedAction } from './block-reading.js';
import { BlockReading } from './block-reading.js';
import { sessionDefaults } from './config.js';
import type { Demand } from './demand.js';
import type { RateGroup } from './groups/rate-group.js';
import { RateGroups } from './groups/rate-groups.js';
import { SharedLimit } from './groups/shared-limit.js';
import { takeGaps, takeLateGaps } from './received-report.js';
import type { ReportInterval } from './report-interval.js';
import type { RoundPart } from './rounds.js';
import { toGroup } from './rounds.js';
import type { SessionBlock } from './sealed-block.js';

export interface DeliveryOptions {
  readonly session: number;
  readonly geometry: SessionGeometry;
  readonly manifest: Uint8Array;
  readonly seal: BlockSeal;
  readonly hash: Hash;
  /** The leaf digests of the content, if they are known before it is read. */
  readonly digestTree: DigestTree | undefined;
  readonly group: Address | undefined;
  /** Whether receivers are sent the same blocks at the same time. If not, only those are that multicast reaches. */
  readonly servesTogether: boolean;
  readonly reportInterval: ReportInterval;
  /** 0..1, different for each session. */
  readonly randomPhase: number;
  readonly rateBytesPerSec: number | undefined;
  /** A limit that this delivery shares with others. */
  readonly rateLimit: RateLimit | undefined;
  /** The number of hosts that send to the same receivers. */
  readonly senderCount: () => number;
  readonly createController: CreateCongestionController | undefined;
}

/** What the session must do for its delivery. */
export type DeliveryAction =
  /** Read a content block, and pass its bytes to `provideBlock`. */
  | NeedAction
  /** A block is not the one that was read before, or that the leaf digests are of. */
  | { readonly type: 'source-changed'; readonly offsetBytes: number }
  /** Poll a receiver. */
  | { readonly type: 'poll'; readonly demand: Demand }
  /** Poll a receiver until it is no longer overdue. It has not reported by the deadline of a round. */
  | {
      readonly type: 'overdue';
      readonly demand: Demand;
      /** The number of the path by which the rounds were sent. */
      readonly path: number;
      /** Time at which the newest of its overdue rounds was sent. */
      readonly sentAtMs: TimeMs;
    };

export class Delivery {
  readonly tree: DigestTree;
  /** For each receiver, the digests that it needs and their root. */
  readonly views: DigestViews;
  private readonly demands: Demand[] = [];
  private readonly actions = new Queue<DeliveryAction>();
  private readonly encoder: BatchEncoder;
  private readonly joiner: BatchJoiner;
  private readonly rateGroups: RateGroups;
  private readonly reading: BlockReading;
  /** Undefined unless a rate is configured. */
  private readonly limit: SharedLimit | undefined;
  /** Number of the last burst that was started; undefined before the first burst. */
  private lastBurst: number | undefined;
  private isContentOpen = false;
  /** Blocks of the content that are withdrawn. */
  private withdrawn = new RangeSet();
  private readonly counts = {
    datagramsSent: 0,
    groupDatagramsSent: 0,
    bytesSent: 0,
    repairs: 0,
  };

  constructor(private readonly options: DeliveryOptions) {
    const { geometry, hash, reportInterval, randomPhase, createController, senderCount } = options;
    const { rateBytesPerSec, rateLimit, manifest, servesTogether, group } = options;
    const ownLimit = rateBytesPerSec === undefined ? undefined : new RateLimit(rateBytesPerSec);
    const limit = rateLimit ?? ownLimit;
    this.limit = limit && new SharedLimit(limit);
    const contentBlockCount = geometry.blockCount - geometry.manifestBlockCount;
    this.tree = options.digestTree ?? new DigestTree(hash, contentBlockCount);
    this.views = new DigestViews(hash, this.tree);
    this.encoder = new BatchEncoder(options.session, geometry, options.seal);
    this.joiner = new BatchJoiner(
      (nowMs) => this.pollBatch(nowMs),
      Math.min(geometry.segmentsPerBlock, maxBatchSegments(geometry.mssBytes)),
    );
    const { maxInFlightBytes } = sessionDefaults;
    const { demands, views: digests, encoder } = this;
    this.rateGroups = new RateGroups({
      ...{ geometry, demands, digests, encoder, reportInterval, randomPhase },
      maxBlocks: Math.max(2, Math.floor(maxInFlightBytes / geometry.blockSizeBytes)),
      ...{ rateBytesPerSec, createController, senderCount },
      ...{ servesTogether, hasGroup: group !== undefined },
    });
    const { tree, actions, rateGroups } = this;
    this.reading = new BlockReading({ geometry, manifest, demands, tree, rateGroups, actions });
  }

  /** What was sent so far. A multicast datagram counts once. */
  get figures(): Readonly<Delivery['counts']> {
    return this.counts;
  }

  /** Whether each datagram carries an authentication tag. Set once forged data has been detected. */
  get usesTags(): boolean {
    return this.encoder.usesTags;
  }

  /** Whether every block of the content has been read. */
  get isRead(): boolean {
    return this.tree.isComplete;
  }

  /** Whether the receiver was too slow for the main group and was moved to a catch-up group. */
  isSlowReceiver(demand: Demand): boolean {
    return this.rateGroups.isSlow(demand);
  }

  /** Last burst of the most recent round that was completely sent to the receiver by this path. */
  lastWholeBurst(demand: Demand, path = 0): number | undefined {
    return this.rateGroups.by(demand, path)?.lastWholeBurst;
  }

  /** Whether no block is in flight to the receiver and the receiver has no known gaps. */
  owesNothing(demand: Demand): boolean {
    return demand.needsNothing && !this.rateGroups.isPending(demand);
  }

  /** The next action, which the session must execute before its next input. */
  pollAction(): DeliveryAction | undefined {
    return this.actions.shift();
  }

  /** Starts to read and send the content, or opens no further blocks of it. */
  setContentOpen(isOpen: boolean): void {
    if (this.isContentOpen === isOpen) return;
    this.isContentOpen = isOpen;
    this.rateGroups.setContentOpen(isOpen);
    this.advance();
  }

  provideBlock(index: number, bytes: Uint8Array): void {
    const { geometry, hash } = this.options;
    assert(bytes.length === sizeOfBlock(geometry, index), 'a block of its size');
    if (!isManifestBlock(geometry, index)) {
      const leaf = hashLeaf(hash, bytes);
      const place = index - geometry.manifestBlockCount;
      this.reading.take(place);
      if (!this.tree.has(place) || this.withdrawn.has(place)) {
        this.tree.set(place, leaf);
      } else if (!isEqualBytes(this.tree.leaf(place), leaf)) {
        const offsetBytes = offsetOfBlock(geometry, index);
        this.actions.push({ type: 'source-changed', offsetBytes });
        return;
      }
    }
    for (const rateGroup of this.rateGroups) {
      const block = rateGroup.rounds.window.find(index);
      if (block !== undefined && !block.hasBytes) rateGroup.fill(block, bytes);
    }
    this.advance();
  }

  handleReport(nowMs: TimeMs, demand: Demand, report: Report): void {
    const { rateGroups } = this;
    if (report.path === 0) rateGroups.handleGroupReport(nowMs, demand, report);
    const rateGroup = rateGroups.by(demand, report.path);
    // The path was dropped in the meantime.
    if (rateGroup === undefined) return;
    rateGroups.setTime(nowMs);
    const { blockCount, manifestBlockCount } = this.options.geometry;
    const hasContent =
      report.describedBlocks > manifestBlockCount || blockCount === manifestBlockCount;
    if (hasContent) demand.openView(this.views);
    const { windowBlocks, isProbed: wasProbed } = demand;
    demand.takeReport(nowMs, report, hasContent);
    const path = rateGroup.pathTo(demand);
    for (const each of rateGroups.groupsOf(demand)) each.handleWindow(demand, windowBlocks);
    // A report of a burst that was never sent shows that the receiver received forged data.
    const isMadeUp =
      report.cumulativeBurst !== undefined &&
      (this.lastBurst === undefined || burstsAhead(report.cumulativeBurst, this.lastBurst) > 0);
    this.encoder.usesTags ||= report.wantsTags || isMadeUp;
    const openBlocks = this.isContentOpen ? blockCount : manifestBlockCount;
    const groups = rateGroups.groupsOf(demand);
    takeGaps(groups, rateGroup, demand, report, this.lastBurst, openBlocks);
    if (!demand.needsNothing) for (const each of groups) each.wake();
    // What does not arrive is not worth its share of the rate. Reports bring the next probe.
    if (demand.isProbed) for (const each of rateGroups.groupsOf(demand)) each.release(demand);
    else if (wasProbed) path.restartModel();
    const sample = path.handleReport(nowMs, report, this.lastBurst, rateGroup.groupBursts);
    rateGroup.handleReport(demand, sample);
    rateGroups.handleSample(demand, report.path, sample);
    this.splitOff(nowMs);
    this.advance();
  }

  /** Handles a report that has arrived after a later one of another, faster path. */
  handleLateReport(nowMs: TimeMs, demand: Demand, report: Report): void {
    const rateGroup = this.rateGroups.by(demand, report.path);
    if (rateGroup === undefined) return;
    this.rateGroups.setTime(nowMs);
    demand.takeArrivals(report);
    takeLateGaps(rateGroup, demand, report, this.lastBurst);
    const path = rateGroup.pathTo(demand);
    const sample = path.handleReport(nowMs, report, this.lastBurst, rateGroup.groupBursts);
    rateGroup.handleReport(demand, sample);
    this.rateGroups.handleSample(demand, report.path, sample);
    this.advance();
  }

  /** A probe was sent to the multicast group. Receivers that it has reached say so until then. */
  awaitProbeAnswers(untilMs: TimeMs): void {
    this.rateGroups.awaitProbeAnswers(untilMs);
  }

  private splitOff(nowMs: TimeMs): void {
    for (const demand of this.rateGroups.splitOff(nowMs))
      this.actions.push({ type: 'poll', demand });
  }

  // --- Several paths to a receiver

  /** Serves a receiver by a further path, which has been proven. */
  addPath(nowMs: TimeMs, demand: Demand, path: Path): void {
    this.rateGroups.setTime(nowMs);
    this.rateGroups.addPath(demand, path);
    this.advance();
  }

  /** One of a receiver's paths falls silent, or is used again. The others send what was in flight by it. */
  setSilent(demand: Demand, path: number, isSilent: boolean): void {
    this.rateGroups.setSilent(demand, path, isSilent);
    this.advance();
  }

  /** Serves a receiver by this further path no more; by default, by none. */
  dropPaths(demand: Demand, path?: number): void {
    this.rateGroups.dropPaths(demand, path);
    this.advance();
  }

  // --- Receivers

  /** These blocks of the content are not needed any more (SESSIONS 6.12). @param places a set that no longer changes */
  withdraw(places: RangeSet): void {
    this.withdrawn = places;
    this.rateGroups.withdraw(places, this.views);
    this.handleChange();
  }

  /** Adds a receiver, which is served from `start` on. Receivers are numbered in the order in which they are added. */
  add(demand: Demand): void {
    assert(demand.index === this.demands.length, 'receivers are numbered in this order');
    this.demands.push(demand);
    this.rateGroups.add(demand);
    demand.withdraw(this.withdrawn, this.options.geometry.manifestBlockCount, this.views);
  }

  /** Begins to serve a receiver that has accepted the offer. It might have restarted. */
  start(demand: Demand): void {
    demand.restart();
    demand.closeView(this.views);
    demand.path.restart(this.rateGroups.of(demand).groupBursts.total);
    this.resume(demand);
  }

  /** Serves a receiver again that had been silent. */
  resume(demand: Demand): void {
    demand.resume();
    this.handleChange();
  }

  /** Stops serving a receiver whose reports are overdue, if it holds up others. What is sent to the group reaches it. */
  pause(demand: Demand): void {
    const { servedDemands } = this.rateGroups.of(demand);
    if (demand.isServed && servedDemands.length > 1) this.stopServing(demand);
  }

  /** Stops serving a receiver that has fallen silent. */
  suspend(demand: Demand): void {
    demand.path.leaveGroup();
    this.stopServing(demand);
  }

  private stopServing(demand: Demand): void {
    demand.suspend();
    for (const each of this.rateGroups.groupsOf(demand)) each.release(demand);
    this.handleChange();
  }

  /** Stops serving a receiver for good. */
  dismiss(demand: Demand): void {
    demand.suspend();
    for (const each of this.rateGroups.groupsOf(demand)) each.release(demand);
    demand.end();
    demand.closeView(this.views);
    this.handleChange();
  }

  private handleChange(): void {
    this.rateGroups.measureAll();
    this.advance();
  }

  /** Stops sending. */
  end(): void {
    this.isContentOpen = false;
    this.rateGroups.end();
    this.joiner.clear();
  }

  // --- Reading

  /** Opens the blocks that receivers need next. */
  private advance(): void {
    this.reading.advance();
    if (this.isContentOpen && !this.isRead) this.reading.readForDigests();
  }

  // --- Sending

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.joiner.pollTransmit(nowMs);
  }

  private pollBatch(nowMs: TimeMs): Transmit | undefined {
    const { limit } = this;
    this.rateGroups.setTime(nowMs);
    if (limit?.maySend(nowMs) === false) return undefined;
    // The main group normally sends first. If a rate is configured, catch-up groups with credit send first.
    const isCatchUpFirst = limit?.isCatchUpFirst === true;
    const last = this.rateGroups.count - 1;
    for (let turn = 0; turn <= last; turn++) {
      const i = isCatchUpFirst ? last - turn : turn;
      const rateGroup = this.rateGroups.get(i);
      const part = rateGroup.next(nowMs);
      if (part === undefined) continue;
      const transmit = this.transmit(nowMs, rateGroup, part);
      this.reading.openBlocks(rateGroup);
      limit?.handleSent(nowMs, transmit.bytes.length, last === 0 ? undefined : i > 0);
      return transmit;
    }
    limit?.handleNothing();
    return undefined;
  }

  private transmit(nowMs: TimeMs, rateGroup: RateGroup, part: RoundPart<SessionBlock>): Transmit {
    const { demands, counts, encoder } = this;
    const { block, receiver, segments } = part;
    const burst = this.lastBurst === undefined ? 0 : (this.lastBurst + 1) & 0xffff;
    this.lastBurst = burst;
    const count = segments.size;
    const isToGroup = receiver === toGroup;
    const path = isToGroup ? undefined : rateGroup.pathTo(at(demands, receiver));
    const transmit = encoder.encode(path ?? this.groupEnd, block, segments, burst);
    rateGroup.handleSent(nowMs, part, burst, transmit.bytes.length);
    if (path === undefined) counts.groupDatagramsSent += count;
    else path.handleSent(nowMs, burst, count);
    let repairs = 0;
    for (const index of isToGroup ? rateGroup.groupMembers : [receiver]) {
      const ownRepairs = block.noteBurst(index, burst, segments);
      at(demands, index).handleSent(nowMs, count, ownRepairs, block.isPending(index));
      repairs = Math.max(repairs, ownRepairs);
    }
    counts.datagramsSent += count;
    counts.repairs += repairs;
    counts.bytesSent += transmit.bytes.length - count * encoder.framingSizeBytes;
    return path === undefined ? transmit : path.carry(transmit);
  }

  private get groupEnd(): Destination {
    const { group } = this.options;
    assert(group !== undefined, 'what goes to the group has a group to go to');
    return { address: group, number: 0 };
  }

  // --- Time

  pollTimeout(): TimeMs | undefined {
    const rateAllowsAtMs = this.limit?.nextSendAtMs ?? Infinity;
    let atMs = rateAllowsAtMs;
    for (const { rounds, nextSendAtMs } of this.rateGroups) {
      atMs = Math.min(atMs, rounds.earliestDeadlineMs ?? Infinity);
      if (rateAllowsAtMs === Infinity) atMs = Math.min(atMs, nextSendAtMs);
    }
    return atMs === Infinity ? undefined : atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    this.limit?.handleTimeout(nowMs);
    this.rateGroups.setTime(nowMs);
    for (const rateGroup of this.rateGroups) {
      rateGroup.handleTimeout(nowMs);
      this.handleDeadlines(nowMs, rateGroup);
    }
    this.splitOff(nowMs);
    this.advance();
  }

  /** Asks to poll the receivers that have not reported by the deadline of a round. */
  private handleDeadlines(nowMs: TimeMs, rateGroup: RateGroup): void {
    const overdue = rateGroup.rounds.takeOverdue(nowMs);
    if (overdue.length === 0) return;
    for (const demand of this.demands) {
      let sentAtMs = -Infinity;
      for (const block of overdue)
        if (block.isAwaited(demand.index)) sentAtMs = Math.max(sentAtMs, block.sentAtMs);
      if (sentAtMs === -Infinity) continue;
      const path = rateGroup.pathTo(demand).number;
      this.actions.push({ type: 'overdue', demand, path, sentAtMs });
    }
  }

  /** Whether the receiver still owes a report on a round by this path whose deadline has passed. */
  isOverdue(demand: Demand, path: number): boolean {
    return this.rateGroups.by(demand, path)?.isOverdue(demand) === true;
  }
}
