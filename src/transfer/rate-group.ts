/**
 * A rate group serves several receivers at one common pace, with one window of blocks in flight. All
 * receivers start in the main group. A slow receiver moves to a catch-up group (SESSIONS 5.11,
 * docs/CONGESTION.md).
 */
import type { TimeMs, Transmit } from '../base/machine.js';
import type { SegmentSet } from '../base/segment-set.js';
import type { SessionGeometry } from '../object/geometry.js';
import { segmentCountOfBlock } from '../object/geometry.js';
import type { CongestionController } from '../path/congestion/congestion-control.js';
import type { PathSample } from '../path/path-model.js';
import { SentBursts } from '../path/sent-bursts.js';
import { maxBatchSegments } from '../wire/segment-size.js';
import type { PeerRateGroup, SessionPeer } from './peer.js';
import { Rounds, toGroup } from './rounds.js';
import { SessionBlock } from './sealed-block.js';

/** What a rate group needs from delivery. */
export interface RateGroupOwner {
  readonly isContentOpen: boolean;
  /** Whether every block of the content has been read. */
  readonly isRead: boolean;
  isHashed(block: number): boolean;
  /** The first block from this one on that not all receivers keep. */
  nextWanted(block: number): number | undefined;
  /** Requests the bytes of a block that the rate group has opened. */
  open(rateGroup: RateGroup, block: SessionBlock): void;
  transmit(
    nowMs: TimeMs,
    rateGroup: RateGroup,
    block: SessionBlock,
    receiver: number,
    segments: SegmentSet,
  ): Transmit;
  /** Releases the memory of a finished block for reuse. */
  close(block: SessionBlock): void;
}

export interface RateGroupOptions {
  /** Whether this is the main group. It reads all blocks that digests need, even if nobody misses them. */
  readonly isMain: boolean;
  readonly geometry: SessionGeometry;
  /** All receivers of the session. The members of the group are those whose `rateGroup` is this group. */
  readonly peers: readonly SessionPeer[];
  readonly reportIntervalMs: number;
  readonly maxBlocks: number;
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

export class RateGroup implements PeerRateGroup {
  readonly rounds: Rounds<SessionBlock>;
  readonly controller: CongestionController;
  readonly groupBursts = new SentBursts();
  /** Indices of the members that can be reached by multicast. */
  groupMembers: number[] = [];
  /** Last burst that this rate group sent, and last burst of its most recent completely sent round. */
  lastBurst: number | undefined;
  lastWholeBurst: number | undefined;
  maxBlocks: number;
  private members: SessionPeer[] = [];
  /** Members whose feedback currently determines the pace. */
  private readonly paced: SessionPeer[] = [];
  /** The next content block to consider. */
  private cursor: number;
  private isFirstPass: boolean;
  /** Whether no further block is to be opened until a report shows new gaps. */
  private isIdle = false;
  private receiverWindowBlocks = Infinity;
  /**
   * Maximum number of blocks in flight that `maxBursts` allows. Each block takes one burst per destination.
   */
  private burstLimit = Infinity;
  /** Number of blocks on which each receiver still owes feedback. */
  private readonly awaitedBlocks: Uint32Array;
  /** Number of datagrams that may still be sent; undefined if it has to be computed again. */
  private headroom: number | undefined;
  /** Largest share of the current round's datagrams that a single member receives. */
  private roundShare = 1;
  private isStarved = false;

  constructor(
    private readonly options: RateGroupOptions,
    private readonly owner: RateGroupOwner,
  ) {
    const { geometry, peers, controller, isMain, maxBlocks } = options;
    this.cursor = geometry.manifestBlockCount;
    this.isFirstPass = isMain;
    this.maxBlocks = maxBlocks;
    this.awaitedBlocks = new Uint32Array(peers.length);
    this.controller = controller;
    const maxSegments = geometry.segmentsPerBlock;
    const createBlock = () => new SessionBlock(maxSegments, peers.length, this.awaitedBlocks);
    this.rounds = new Rounds(peers.length, createBlock, {
      maxSegments,
      isUninterrupted: true,
      batchLimit: () => this.batchLimit,
      transmit: (nowMs, block, receiver, segments) =>
        owner.transmit(nowMs, this, block, receiver, segments),
      timeoutMs: (nowMs, block) => this.endRound(nowMs, block),
      isMulticastReachable: (receiver) => (peers[receiver] as SessionPeer).isMulticastReachable,
    });
  }

  /** The receivers that this rate group serves. */
  get servedPeers(): readonly SessionPeer[] {
    return this.members;
  }

  /** Updates the members, and the limits that depend on them. */
  measure(): void {
    this.members = this.options.peers.filter((peer) => peer.rateGroup === this && peer.isServed);
    this.groupMembers = [];
    this.controller.handleMembers(this.members);
    for (const { index, isMulticastReachable } of this.members) {
      if (isMulticastReachable) this.groupMembers.push(index);
    }
    this.receiverWindowBlocks = this.leastWindowBlocks();
    const places = this.members.length - Math.max(0, this.groupMembers.length - 1);
    this.burstLimit = Math.max(2, Math.floor(maxBursts / Math.max(1, places)));
    this.headroom = undefined;
    this.isIdle = false;
  }

  /** Updates the receive window from a report. Windows rarely change. */
  takeWindow(peer: SessionPeer, windowBlocks: number): void {
    const before = peer.windowBlocks;
    peer.windowBlocks = windowBlocks;
    if (!peer.isServed) return;
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

  /** Stops serving a receiver. Blocks in flight that the receiver misses become needed again. */
  release(peer: SessionPeer): void {
    for (const block of this.rounds.window) {
      block.endFeedback(peer.index);
      if (!block.isPending(peer.index)) continue;
      block.clearMissing(peer.index);
      if (block.wasSent(peer.index)) peer.sentInVain.add(block.index, block.index + 1);
      if (!peer.isSettled) peer.needed.add(block.index, block.index + 1);
    }
  }

  handleReport(peer: SessionPeer, sample: PathSample | undefined): void {
    if (!peer.needed.isEmpty) this.isIdle = false;
    this.headroom = undefined;
    if (sample === undefined) return;
    const { paced } = this;
    paced.length = 0;
    for (const member of this.members) {
      if (!this.isPacedBy(member) && member !== peer) continue;
      member.inFlight = this.inFlightOf(member);
      paced.push(member);
    }
    this.controller.handleFeedback(peer, sample, paced);
  }

  /** Resumes the search for blocks to open, because receivers may now need more blocks. */
  wake(): void {
    this.isIdle = false;
  }

  /** Handles the arrival of the bytes of a block that this rate group has opened. */
  fill(block: SessionBlock, load: () => void): void {
    // A block that no member needs was read only for its digest, and is not loaded below.
    block.isRead = true;
    for (const peer of this.members) {
      if (!peer.needed.has(block.index)) continue;
      peer.needed.remove(block.index, block.index + 1);
      const part = peer.parts.get(block.index);
      if (part === undefined) block.setMissing(peer.index);
      else block.setMissingSegments(peer.index, part.segments);
      if (!peer.sentInVain.has(block.index)) continue;
      peer.sentInVain.remove(block.index, block.index + 1);
      block.noteSentBefore(peer.index);
    }
    if (block.pendingCount === 0) return;
    load();
    this.beginRound(block);
  }

  // --- Which block next

  advance(): void {
    const { window } = this.rounds;
    window.dropWhere((block) => {
      const isOver = block.hasBytes && block.pendingCount === 0;
      if (isOver) {
        block.endAllFeedback();
        this.owner.close(block);
      }
      return isOver;
    });
    let unsent = 0;
    for (const block of window) {
      if (block.hasBytes && !block.isSending && block.awaitedCount === 0) this.beginRound(block);
      if (block.round <= 1 && block.deadlineMs === undefined) unsent++;
    }
    this.openBlocks(this.readAhead - unsent);
  }

  private get readAhead(): number {
    const blocks =
      (this.controller.sendRate(1) * readAheadMs) / this.options.geometry.segmentsPerBlock;
    return readAheadBlocks + Math.ceil(blocks);
  }

  private openBlocks(count: number): void {
    const { window } = this.rounds;
    const limit = Math.min(this.maxBlocks, this.receiverWindowBlocks, this.burstLimit);
    for (let opened = 0; opened < count && window.length < limit && !this.isIdle; ) {
      const index = this.nextBlock();
      if (index === undefined) {
        this.isIdle = true;
        return;
      }
      const block = window.push(index, 0, segmentCountOfBlock(this.options.geometry, index));
      this.owner.open(this, block);
      // A block that was read only for its digest is not sent, so it does not count.
      if (!block.isRead || block.wire !== undefined) opened++;
    }
  }

  /**
   * The next block to open. The manifest comes first. The first pass covers all blocks that the digests need.
   * Later passes cover the blocks that receivers still miss, because they joined late or a block was damaged.
   */
  private nextBlock(): number | undefined {
    const { manifestBlockCount, blockCount } = this.options.geometry;
    const manifestBlock = this.nextNeeded(0);
    if (manifestBlock !== undefined && manifestBlock < manifestBlockCount) return manifestBlock;
    if (!this.owner.isContentOpen) return undefined;
    this.isFirstPass &&= !this.owner.isRead && this.cursor < blockCount;
    while (this.isFirstPass && this.cursor < blockCount) {
      const index = this.owner.nextWanted(this.cursor);
      this.cursor = (index ?? blockCount) + 1;
      if (index !== undefined && (!this.owner.isHashed(index) || this.isNeeded(index)))
        return index;
    }
    this.isFirstPass = false;
    for (;;) {
      const next = this.nextNeeded(this.cursor);
      if (next !== undefined) {
        this.cursor = next + 1;
        return next;
      }
      if (this.cursor === manifestBlockCount) return undefined;
      this.cursor = manifestBlockCount;
    }
  }

  private isNeeded(block: number): boolean {
    return this.members.some(({ needed }) => needed.has(block));
  }

  private nextNeeded(from: number): number | undefined {
    let first: number | undefined;
    for (const peer of this.members) {
      let next = peer.needed.nextFrom(from);
      while (next !== undefined && this.rounds.window.find(next) !== undefined) {
        next = peer.needed.nextFrom(next + 1);
      }
      if (next !== undefined && (first === undefined || next < first)) first = next;
    }
    return first;
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
    this.lastWholeBurst = this.lastBurst;
    let longestMs = 0;
    for (const peer of this.members) {
      if (!block.isPending(peer.index)) continue;
      block.expectFeedback(peer.index);
      longestMs = Math.max(longestMs, peer.rtt.timeoutMs + peer.returnPath.gapMs);
    }
    return this.options.reportIntervalMs + longestMs;
  }

  // --- Pace

  /** The next batch of this rate group; undefined if no batch may be sent now. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (!this.controller.maySend(nowMs)) return undefined;
    const transmit = this.rounds.continueRound(nowMs) ?? this.beginRoundOf(nowMs);
    if (transmit === undefined) return undefined;
    if (this.isStarved) this.controller.handleIdle(nowMs);
    this.isStarved = false;
    const { bytes, datagramSizeBytes = bytes.length } = transmit;
    const count = Math.ceil(bytes.length / datagramSizeBytes);
    this.controller.handleSent(nowMs, count * this.roundShare);
    return transmit;
  }

  private beginRoundOf(nowMs: TimeMs): Transmit | undefined {
    // The headroom is infinite while no feedback is outstanding. Any round may change that, so an infinite
    // headroom is computed again each time.
    if (this.headroom === undefined || this.headroom === Infinity) {
      this.headroom = this.findHeadroom(nowMs);
    }
    if (this.headroom <= 0) return undefined;
    const transmit = this.rounds.pollTransmit(nowMs);
    if (transmit === undefined) this.isStarved = true;
    else this.charge();
    return transmit;
  }

  /**
   * Reduces the headroom by the number of datagrams that the round sends to the member that receives the
   * most.
   */
  private charge(): void {
    const block = this.rounds.sending;
    if (block === undefined) return;
    const groupCount = block.countToSend(toGroup, false);
    let total = groupCount;
    let most = 0;
    for (const { index, isMulticastReachable } of this.members) {
      const own = block.countToSend(index, isMulticastReachable);
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
    const inTime = Math.floor(this.controller.sendRate(this.roundShare) * maxBatchMs);
    return Math.max(1, Math.min(inTime, maxBatchSegments(this.options.geometry.mssBytes)));
  }

  /** Number of further datagrams that may be in flight. Only members that owe feedback limit this number. */
  private findHeadroom(nowMs: TimeMs): number {
    let least = Infinity;
    for (const peer of this.members) {
      if (!this.isPacedBy(peer)) continue;
      peer.inFlight = this.inFlightOf(peer);
      least = Math.min(least, this.controller.findRoom(nowMs, peer));
    }
    return least;
  }

  private isPacedBy(peer: SessionPeer): boolean {
    return (this.awaitedBlocks[peer.index] as number) > 0;
  }

  private inFlightOf(peer: SessionPeer): number {
    const unicast = peer.unicastBursts.total - peer.unicastOver;
    return peer.isMulticastReachable ? unicast + this.groupBursts.total - peer.groupOver : unicast;
  }

  /** Time at which pacing allows the next datagram; Infinity if pacing delays nothing. */
  get nextSendAtMs(): TimeMs {
    return this.controller.nextSendAtMs;
  }

  /** Ends a pacing delay that is over. No further timer is then needed, even if a busy host sends later. */
  handleTimeout(nowMs: TimeMs): void {
    this.controller.handleTimeout(nowMs);
  }

  /** Stops sending. */
  end(): void {
    this.rounds.window.clear();
    this.awaitedBlocks.fill(0);
    this.isIdle = true;
  }
}
