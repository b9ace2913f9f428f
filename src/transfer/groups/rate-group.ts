/**
 * A rate group serves several receivers at one common pace, with one window of blocks in flight. All
 * receivers start in the main group. A slow receiver moves to a catch-up group (SESSIONS 5.11,
 * docs/CONGESTION.md).
 */
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { DigestViews } from '../../object/digest-view.js';
import type { SessionGeometry } from '../../object/geometry.js';
import { isManifestBlock, segmentCountOfBlock } from '../../object/geometry.js';
import type { CongestionController } from '../../path/congestion/congestion-control.js';
import type { Path } from '../../path/path.js';
import type { PathSample } from '../../path/path-model.js';
import { SentBursts } from '../../path/sent-bursts.js';
import { maxBatchSegments } from '../../wire/segment-size.js';
import type { BatchEncoder } from '../batch.js';
import type { Demand } from '../demand.js';
import { IndexedNumbers } from '../indexed-numbers.js';
import type { ReceiverShare } from '../receiver-share.js';
import type { ReportInterval } from '../report-interval.js';
import type { RoundPart } from '../rounds.js';
import { Rounds, toGroup } from '../rounds.js';
import { SessionBlock } from '../sealed-block.js';
import { BlockOrder } from './block-order.js';

/**
 * Part of each block's nonce. Constants are safe: a block is not sent after its bytes have changed, so no
 * nonce is ever used for two plaintexts.
 */
const generations = { manifest: 0, content: 1 } as const;

export interface RateGroupOptions {
  /** Whether this is the main group. It reads all blocks that digests need, even if nobody misses them. */
  readonly isMain: boolean;
  readonly geometry: SessionGeometry;
  /** All receivers of the session, a list that can grow. */
  readonly demands: readonly Demand[];
  /** The path by which this rate group reaches a receiver. */
  readonly pathTo: (demand: Demand) => Path;
  /** The digests of the blocks that have been read, and what receivers need of them. */
  readonly digests: DigestViews;
  /** Loads blocks into memory from which they are sent. */
  readonly encoder: BatchEncoder;
  readonly reportInterval: ReportInterval;
  readonly maxBlocks: number;
  /** Whether to open another block now, if a member is served by several paths. */
  readonly mayOpen: (rateGroup: RateGroup) => boolean;
  readonly controller: CongestionController;
}

/**
 * Read-ahead: the blocks that are sent within this time at the current pace, plus `readAheadBlocks` blocks.
 */
const readAheadMs = 10;
const readAheadBlocks = 4;

/** Maximum time for which one batch may occupy the path. */
const maxBatchMs = 5;

/** Maximum number of bursts in flight. It is far below the number of different 16-bit burst numbers. */
const maxBursts = 16_384;

export class RateGroup {
  readonly rounds: Rounds<SessionBlock>;
  readonly controller: CongestionController;
  private readonly multicastBursts = new SentBursts();
  private multicastMembers: number[] = [];
  /** Last burst that this rate group sent, and last burst of its most recent completely sent round. */
  private lastBurst: number | undefined;
  private lastBurstOfRound: number | undefined;
  private maxBlocks: number;
  /** The members that are served. */
  private members: Demand[] = [];
  /** Members whose feedback currently determines the pace. */
  private readonly paced: Path[] = [];
  private readonly order: BlockOrder;
  /** Number of blocks that may be opened now. */
  private blocksToOpen = 0;
  /** Whether no further block is to be opened until a report shows new gaps. */
  private isIdle = false;
  private receiverWindowBlocks = Infinity;
  /**
   * Maximum number of blocks in flight that `maxBursts` allows. Each block takes one burst per destination.
   */
  private burstLimit = Infinity;
  /** Number of blocks on which each receiver still owes feedback. */
  private readonly awaitedBlocks = new IndexedNumbers(0);
  /** Number of datagrams that may still be sent; undefined if it has to be computed again. */
  private headroom: number | undefined;
  /** Largest share of the current round's datagrams that a single member receives. */
  private roundShare = 1;
  private isStarved = false;

  constructor(private readonly options: RateGroupOptions) {
    const { geometry, demands, controller, isMain, maxBlocks } = options;
    this.order = new BlockOrder(geometry, options.digests, isMain);
    this.maxBlocks = maxBlocks;
    this.controller = controller;
    const maxSegments = geometry.segmentsPerBlock;
    this.rounds = new Rounds(() => new SessionBlock(maxSegments, this.awaitedBlocks), {
      maxSegments,
      isUninterrupted: true,
      receiverCount: () => demands.length,
      batchLimit: () => this.batchLimit,
      timeoutMs: (nowMs, block) => this.endRound(nowMs, block),
      isMulticastReachable: (receiver) =>
        options.pathTo(at(demands, receiver)).isMulticastReachable,
    });
  }

  /** The bursts that this rate group sent to the multicast group. */
  get groupBursts(): SentBursts {
    return this.multicastBursts;
  }

  /** Indices of the members that can be reached by multicast. */
  get groupMembers(): readonly number[] {
    return this.multicastMembers;
  }

  /** Last burst of the most recent completely sent round. */
  get lastWholeBurst(): number | undefined {
    return this.lastBurstOfRound;
  }

  /** The path by which this rate group reaches a receiver. */
  pathTo(demand: Demand): Path {
    return this.options.pathTo(demand);
  }

  /** The receivers that this rate group serves. */
  get servedDemands(): readonly Demand[] {
    return this.members;
  }

  /**
   * Updates the limits that depend on the members.
   * @param members those receivers of this group that are served
   */
  measure(members: Demand[]): void {
    this.members = members;
    this.multicastMembers = [];
    this.controller.handleMembers(members.map((member) => this.pathTo(member)));
    for (const member of members) {
      if (this.pathTo(member).isMulticastReachable) this.multicastMembers.push(member.index);
    }
    this.receiverWindowBlocks = this.leastWindowBlocks();
    const places = this.members.length - Math.max(0, this.groupMembers.length - 1);
    this.burstLimit = Math.max(2, Math.floor(maxBursts / Math.max(1, places)));
    this.headroom = undefined;
    this.isIdle = false;
  }

  /**
   * Updates the receive window after a report. Windows rarely change.
   * @param before the member's window before the report
   */
  handleWindow({ isServed, windowBlocks }: Demand, before: number): void {
    if (!isServed) return;
    if (windowBlocks <= this.receiverWindowBlocks) {
      this.receiverWindowBlocks = Math.max(1, windowBlocks);
    } else if (before <= this.receiverWindowBlocks) {
      this.receiverWindowBlocks = this.leastWindowBlocks();
    }
  }

  private leastWindowBlocks(): number {
    let least = Infinity;
    for (const { windowBlocks } of this.members) least = Math.min(least, windowBlocks);
    return Math.max(1, least);
  }

  /** Whether another block may be opened as soon as a member needs one. */
  get isWaiting(): boolean {
    return this.isIdle && this.blocksToOpen > 0;
  }

  /** A member needs blocks again. */
  wake(): void {
    this.isIdle = false;
  }

  /** Leaves room for the blocks in flight of another rate group. */
  giveUpBlocks(count: number): void {
    this.maxBlocks = Math.max(2, this.maxBlocks - count);
  }

  /** Leaves a share of its blocks in flight to another rate group. @returns their number */
  giveUpShare(share: number): number {
    const count = Math.max(2, Math.floor(this.maxBlocks * share));
    this.giveUpBlocks(count);
    return count;
  }

  /** Takes back what it has left to another rate group, which has ended. */
  takeBackShare({ maxBlocks }: RateGroup): void {
    this.maxBlocks += maxBlocks;
  }

  /** Stops serving a receiver. Blocks in flight that the receiver misses become needed again. */
  release(demand: Demand): void {
    for (const block of this.rounds.window) demand.takeBack(block);
  }

  /** @param sample what a report says about the member's path; undefined if nothing */
  handleReport(demand: Demand, sample: PathSample | undefined): void {
    this.headroom = undefined;
    if (sample === undefined) return;
    const { paced } = this;
    paced.length = 0;
    for (const member of this.members) {
      if (!this.isPacedBy(member) && member !== demand) continue;
      const path = this.pathTo(member);
      path.measureInFlight(this.multicastBursts.total);
      paced.push(path);
    }
    this.controller.handleFeedback(this.pathTo(demand), sample, paced);
  }

  /** Whether to open blocks of the content, not only of the manifest. */
  setContentOpen(isOpen: boolean): void {
    this.order.setContentOpen(isOpen);
    this.isIdle = false;
  }

  // --- Blocks

  /** Takes the bytes of a block that this rate group has opened. */
  fill(block: SessionBlock, bytes: Uint8Array): void {
    if (!this.handOver(block)) return;
    this.options.encoder.load(block, bytes);
    this.beginRound(block);
  }

  /** Takes a block that this rate group has opened from another rate group, which sends the same block. */
  fillFrom(other: SessionBlock, block: SessionBlock): void {
    if (!this.handOver(block)) return;
    this.options.encoder.copy(other, block);
    this.beginRound(block);
  }

  /** @returns false if no member needs the block, which was then read only for its digest */
  private handOver(block: SessionBlock): boolean {
    block.isRead = true;
    this.handOverToMembers(block);
    // A block that is not sent does not count.
    if (block.pendingCount === 0) this.blocksToOpen++;
    return block.pendingCount > 0;
  }

  /** The block is in flight to the members that want it. */
  private handOverToMembers(block: SessionBlock): void {
    for (const member of this.members) if (member.wants(block.index)) member.handOver(block);
  }

  /** Drops blocks that every member has, and begins the rounds that are due. Call `openNext` next. */
  advance(): void {
    const { window } = this.rounds;
    window.dropWhere((block) => {
      const isOver = block.hasBytes && block.pendingCount === 0;
      if (isOver) {
        block.endAllFeedback();
        this.options.encoder.unload(block);
      }
      return isOver;
    });
    let unsent = 0;
    for (const block of window) {
      if (block.hasBytes && !block.isSending && block.awaitedCount === 0) this.beginRound(block);
      if (block.round <= 1 && block.deadlineMs === undefined) unsent++;
    }
    this.blocksToOpen = this.readAhead - unsent;
  }

  private get readAhead(): number {
    const blocks = (this.sendRate(1) * readAheadMs) / this.options.geometry.segmentsPerBlock;
    return readAheadBlocks + Math.ceil(blocks);
  }

  /** The next block whose bytes this rate group needs now, which it passes to `fill` or `fillFrom`. */
  openNext(): SessionBlock | undefined {
    const { window } = this.rounds;
    const { geometry } = this.options;
    const limit = Math.min(this.maxBlocks, this.receiverWindowBlocks, this.burstLimit);
    if (this.blocksToOpen <= 0 || window.length >= limit || this.isIdle) return undefined;
    if (!this.options.mayOpen(this)) return undefined;
    const index = this.order.next(this.members, this.rounds.window);
    if (index === undefined) {
      this.isIdle = true;
      return undefined;
    }
    this.blocksToOpen--;
    for (const member of this.members) member.handleOpened(index);
    const block = window.push(index, 0, segmentCountOfBlock(geometry, index));
    block.generation = isManifestBlock(geometry, index)
      ? generations.manifest
      : generations.content;
    // While the block is read, no other rate group that serves a member opens it too.
    this.handOverToMembers(block);
    return block;
  }

  // --- Rounds

  private beginRound(block: SessionBlock): void {
    block.beginRound();
    if (this.groupMembers.length > 0) block.sendToGroup(this.groupMembers);
  }

  /**
   * Records that a round has been sent, and which receivers owe feedback.
   * @returns the time to wait for the feedback
   */
  private endRound(nowMs: TimeMs, block: SessionBlock): number {
    block.sentAtMs = nowMs;
    // Reports can be too rare to open as many blocks as leave in between.
    if (block.round === 1) this.blocksToOpen++;
    this.lastBurstOfRound = this.lastBurst;
    let longestMs = 0;
    for (const member of this.members) {
      if (!block.isPending(member.index)) continue;
      block.expectFeedback(member.index);
      const { rtt, returnPath } = this.pathTo(member);
      longestMs = Math.max(longestMs, rtt.timeoutMs + returnPath.gapMs);
    }
    return this.options.reportInterval.ms + longestMs;
  }

  /** Records that a part of a round was sent in a burst of its own. */
  handleSent(
    nowMs: TimeMs,
    { receiver, segments }: RoundPart,
    burst: number,
    sizeBytes: number,
  ): void {
    this.lastBurst = burst;
    this.share?.handleSent(nowMs, sizeBytes);
    if (receiver === toGroup) this.multicastBursts.add(nowMs, burst, segments.size);
  }

  // --- Pace

  /** What the receiver allows; undefined unless it is the only member. A group goes at the pace of its members. */
  private get share(): ReceiverShare | undefined {
    return this.members.length === 1 ? this.members[0]?.share : undefined;
  }

  /** In datagrams per millisecond to all members; the parameter is that of the controller. */
  private sendRate(roundShare: number): number {
    return Math.min(this.controller.sendRate(roundShare), this.share?.perMs ?? Infinity);
  }

  /** The next batch of this rate group, valid until the next call; undefined if no batch may be sent now. */
  next(nowMs: TimeMs): RoundPart<SessionBlock> | undefined {
    if (!this.controller.maySend(nowMs)) return undefined;
    if (this.share?.maySend(nowMs) === false) {
      this.controller.handleIdle(nowMs);
      return undefined;
    }
    const part = this.rounds.continueRound(nowMs) ?? this.beginRoundOf(nowMs);
    if (part === undefined) return undefined;
    if (this.isStarved) this.controller.handleIdle(nowMs);
    this.isStarved = false;
    this.controller.handleSent(nowMs, part.segments.size * this.roundShare);
    return part;
  }

  private beginRoundOf(nowMs: TimeMs): RoundPart<SessionBlock> | undefined {
    // The headroom is infinite while no feedback is outstanding. Any round may change that, so an infinite
    // headroom is computed again each time.
    if (this.headroom === undefined || this.headroom === Infinity) {
      this.headroom = this.findHeadroom(nowMs);
    }
    if (this.headroom <= 0) return undefined;
    const part = this.rounds.next(nowMs);
    if (part === undefined) this.isStarved = true;
    else this.charge(part.block);
    return part;
  }

  /**
   * Reduces the headroom by the number of datagrams that the round sends to the member that receives the
   * most.
   */
  private charge(block: SessionBlock): void {
    const groupCount = block.countToSend(toGroup, false);
    let total = groupCount;
    let most = 0;
    for (const member of this.members) {
      const { isMulticastReachable } = this.pathTo(member);
      const own = block.countToSend(member.index, isMulticastReachable);
      total += own;
      most = Math.max(most, isMulticastReachable ? own + groupCount : own);
    }
    this.roundShare = total === 0 ? 1 : most / total;
    this.headroom = (this.headroom ?? 0) - most;
  }

  /**
   * Maximum number of datagrams in a batch. A slow path gets smaller batches, because its queue may be short.
   */
  private get batchLimit(): number {
    const inTime = Math.floor(this.sendRate(this.roundShare) * maxBatchMs);
    return Math.max(1, Math.min(inTime, maxBatchSegments(this.options.geometry.mssBytes)));
  }

  /** Number of further datagrams that may be in flight. Only members that owe feedback limit this number. */
  private findHeadroom(nowMs: TimeMs): number {
    let least = Infinity;
    for (const member of this.members) {
      if (!this.isPacedBy(member)) continue;
      const path = this.pathTo(member);
      path.measureInFlight(this.multicastBursts.total);
      least = Math.min(least, this.controller.findRoom(nowMs, path));
    }
    return least;
  }

  private isPacedBy({ index, isProbed }: Demand): boolean {
    return !isProbed && this.awaitedBlocks.get(index) > 0;
  }

  /** Whether the receiver still owes a report on a round whose deadline has passed. */
  isOverdue({ index }: Demand): boolean {
    for (const block of this.rounds.window)
      if (block.isOverdue && block.isAwaited(index)) return true;
    return false;
  }

  /** Time at which pacing allows the next datagram; Infinity if pacing delays nothing. */
  get nextSendAtMs(): TimeMs {
    return Math.min(this.controller.nextSendAtMs, this.share?.nextSendAtMs ?? Infinity);
  }

  /** Ends a pacing delay that is over. No further timer is then needed, even if a busy host sends later. */
  handleTimeout(nowMs: TimeMs): void {
    this.controller.handleTimeout(nowMs);
    this.share?.handleTimeout(nowMs);
  }

  /** Stops sending. */
  end(): void {
    this.rounds.window.clear();
    this.awaitedBlocks.reset();
    this.order.setContentOpen(false);
    this.isIdle = true;
  }
}
