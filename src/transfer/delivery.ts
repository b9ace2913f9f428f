/**
 * Delivers the blocks of one session. Owns the rate groups, sends their datagrams, and applies reports.
 * `session/sender.ts` begins and ends the session.
 */
import type { Address } from '../base/address.js';
import { assert, at } from '../base/assert.js';
import type { Hash } from '../base/hash.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import { RangeSet } from '../base/range-set.js';
import type { SegmentSet } from '../base/segment-set.js';
import { DigestTree } from '../object/digest-tree.js';
import type { SessionGeometry } from '../object/geometry.js';
import { isManifestBlock, offsetOfBlock, sizeOfBlock } from '../object/geometry.js';
import { hashLeaf } from '../object/hash-tree.js';
import { createCongestionController } from '../path/congestion/create-controller.js';
import { Pacer } from '../path/pacer.js';
import type { BlockSeal } from '../security/block-seal.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { burstsAhead, sessionHeaderSizeBytes } from '../wire/header.js';
import type { Report } from '../wire/report.js';
import { maxBatchSegments } from '../wire/segment-size.js';
import { BatchEncoder } from './batch.js';
import { BatchJoiner } from './batch-joiner.js';
import { sessionDefaults } from './config.js';
import { DigestPass } from './digest-pass.js';
import { DigestViews } from './digest-view.js';
import type { SessionPeer } from './peer.js';
import { RateGroup } from './rate-group.js';
import { takeGaps, takeGroup, takeSample } from './received-report.js';
import { toGroup } from './rounds.js';
import type { SessionBlock } from './sealed-block.js';
import { findSlowReceivers } from './slow-receivers.js';

export interface DeliveryOptions {
  readonly session: number;
  readonly geometry: SessionGeometry;
  readonly manifest: Uint8Array;
  readonly peers: readonly SessionPeer[];
  readonly seal: BlockSeal;
  readonly hash: Hash;
  readonly group: Address | undefined;
  readonly reportIntervalMs: number;
  /** 0..1, different for each session. */
  readonly randomPhase: number;
  readonly rateBytesPerSec: number | undefined;
}

/** What delivery needs from its session. */
export interface DeliveryOwner {
  /** Requests the bytes of a content block. The session passes the bytes to `provideBlock`. */
  need(block: number, offsetBytes: number, sizeBytes: number): void;
  /** Reports that a second read of a block returned different bytes. */
  sourceChanged(offsetBytes: number): void;
  /**
   * Polls a receiver whose report is overdue.
   * @returns false if the poll budget is exhausted; the caller should then retry a little later
   */
  poll(nowMs: TimeMs, peer: SessionPeer): boolean;
}

/**
 * Part of each block's nonce. Constants are safe: a block is not sent after its bytes have changed, so no
 * nonce is ever used for two plaintexts.
 */
const generations = { manifest: 0, content: 1 } as const;

/** Retry delay when the poll budget is exhausted. */
const pollRetryMs = 10;

/** Maximum number of catch-up groups. Further slow receivers share these groups. */
const maxCatchUpRateGroups = 8;

/** Share of the blocks in flight that one catch-up group may use. */
const catchUpShare = 1 / 16;

/** If a rate is configured, all catch-up groups together get at least this share of it. */
const catchUpRateShare = 1 / 8;

export class Delivery {
  readonly tree: DigestTree;
  /** For each receiver, the digests that it needs and their root. */
  readonly views: DigestViews;
  datagramsSent = 0;
  groupDatagramsSent = 0;
  bytesSent = 0;
  repairs = 0;

  private readonly encoder: BatchEncoder;
  private readonly joiner: BatchJoiner;
  /** The main rate group comes first. */
  private readonly rateGroups: RateGroup[] = [];
  private readonly main: RateGroup;
  private readonly digestPass: DigestPass;
  private readonly maxBlocks: number;
  /** Enforces a configured rate. */
  private readonly pacer = new Pacer();
  /** Bytes that catch-up groups may send ahead of the main group. */
  private catchUpCredit = 0;
  /** Number of the last burst that was started; undefined before the first burst. */
  private lastBurst: number | undefined;
  isContentOpen = false;
  private slowReceiversCheckedAtMs: TimeMs = -Infinity;

  constructor(
    private readonly options: DeliveryOptions,
    private readonly owner: DeliveryOwner,
  ) {
    const { geometry, hash, peers } = options;
    const contentBlockCount = geometry.blockCount - geometry.manifestBlockCount;
    this.tree = new DigestTree(hash, contentBlockCount);
    this.views = new DigestViews(hash, this.tree);
    this.encoder = new BatchEncoder(options.session, geometry, options.seal);
    this.joiner = new BatchJoiner(
      (nowMs) => this.pollBatch(nowMs),
      Math.min(geometry.segmentsPerBlock, maxBatchSegments(geometry.mssBytes)),
    );
    const { maxInFlightBytes } = sessionDefaults;
    this.maxBlocks = Math.max(2, Math.floor(maxInFlightBytes / geometry.blockSizeBytes));
    this.main = this.addRateGroup();
    for (const peer of peers) peer.rateGroup = this.main;
    const { manifestBlockCount } = geometry;
    this.digestPass = new DigestPass({
      isTaken: (place) => this.tree.has(place) || this.isBeingRead(manifestBlockCount + place),
      need: (place) => {
        const block = manifestBlockCount + place;
        owner.need(block, offsetOfBlock(geometry, block), sizeOfBlock(geometry, block));
      },
    });
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
  isSlowReceiver(peer: SessionPeer): boolean {
    return peer.rateGroup !== this.main;
  }

  /** Whether no block is in flight to the receiver and the receiver has no known gaps. */
  owesNothing(peer: SessionPeer): boolean {
    if (!peer.needed.isEmpty) return false;
    for (const { rounds } of this.rateGroups) {
      for (const block of rounds.window) if (block.isPending(peer.index)) return false;
    }
    return true;
  }

  /** Starts to read and send the content. */
  openContent(): void {
    if (this.isContentOpen) return;
    this.isContentOpen = true;
    for (const rateGroup of this.rateGroups) rateGroup.wake();
    this.advance();
  }

  provideBlock(index: number, bytes: Uint8Array): void {
    const { geometry, hash } = this.options;
    assert(bytes.length === sizeOfBlock(geometry, index), 'a block of its size');
    if (!isManifestBlock(geometry, index)) {
      const leaf = hashLeaf(hash, bytes);
      const place = index - geometry.manifestBlockCount;
      this.digestPass.take(place);
      if (this.tree.has(place) && !isEqualBytes(this.tree.leaf(place), leaf)) {
        this.owner.sourceChanged(offsetOfBlock(geometry, index));
        return;
      }
      this.tree.set(place, leaf);
    }
    for (const rateGroup of this.rateGroups) {
      const block = rateGroup.rounds.window.find(index);
      if (block === undefined || block.hasBytes) continue;
      rateGroup.fill(block, () => this.encoder.load(block, bytes));
    }
    this.advance();
  }

  handleReport(nowMs: TimeMs, peer: SessionPeer, report: Report): void {
    const usesMulticast = this.options.group !== undefined && !this.isSlowReceiver(peer);
    takeGroup(peer, report, usesMulticast, this.groupDatagramsSent);
    peer.rateGroup?.takeWindow(peer, report.windowBlocks);
    // A report of a burst that was never sent shows that the receiver received forged data.
    const isMadeUp =
      report.cumulativeBurst !== undefined &&
      (this.lastBurst === undefined || burstsAhead(report.cumulativeBurst, this.lastBurst) > 0);
    this.encoder.usesTags ||= report.wantsTags || isMadeUp;
    const { rateGroup } = peer;
    if (rateGroup !== undefined) {
      takeGaps(rateGroup.rounds.window, peer, report, this.lastBurst);
      rateGroup.handleReport(peer, takeSample(nowMs, peer, report, this.lastBurst));
    }
    this.splitOffSlowReceivers(nowMs);
    this.advance();
  }

  /** Handles a receiver that has joined, left, or fallen silent. */
  handleChange(peer: SessionPeer): void {
    if (!peer.isServed) {
      peer.rateGroup?.release(peer);
      if (peer.isSettled) {
        peer.needed.clear();
        this.views.drop(peer);
      }
    }
    for (const rateGroup of this.rateGroups) rateGroup.measure();
    this.advance();
  }

  /** Handles a receiver that has restarted. Its counters begin at zero again. */
  handleRestart(peer: SessionPeer): void {
    this.views.drop(peer);
    peer.kept = new RangeSet();
    peer.receivedByGroup = 0;
    peer.unicastBase = peer.unicastBursts.total;
    peer.unicastOver = peer.unicastBursts.total;
    peer.groupOver = peer.rateGroup?.groupBursts.total ?? 0;
    peer.parts = new Map();
    peer.noteArrival();
    peer.model.restart();
  }

  /** Stops sending. */
  end(): void {
    for (const rateGroup of this.rateGroups) rateGroup.end();
    this.joiner.clear();
    this.isContentOpen = false;
  }

  // --- Sending

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.joiner.pollTransmit(nowMs);
  }

  private pollBatch(nowMs: TimeMs): Transmit | undefined {
    const { rateBytesPerSec } = this.options;
    if (rateBytesPerSec !== undefined && !this.pacer.maySend(nowMs)) return undefined;
    // The main group normally sends first. If a rate is configured, catch-up groups with credit send first.
    const isCatchUpFirst = this.catchUpCredit > 0;
    const last = this.rateGroups.length - 1;
    for (let i = 0; i <= last; i++) {
      const rateGroup = at(this.rateGroups, isCatchUpFirst ? last - i : i);
      const transmit = rateGroup.pollTransmit(nowMs);
      if (transmit === undefined) continue;
      if (rateBytesPerSec !== undefined)
        this.chargeRate(nowMs, rateGroup, transmit, rateBytesPerSec);
      return transmit;
    }
    this.catchUpCredit = 0;
    return undefined;
  }

  private chargeRate(nowMs: TimeMs, rateGroup: RateGroup, { bytes }: Transmit, rate: number): void {
    this.pacer.handleSent(nowMs, (bytes.length * 1000) / rate);
    if (this.rateGroups.length === 1) return;
    const share = rateGroup === this.main ? catchUpRateShare : catchUpRateShare - 1;
    this.catchUpCredit += share * bytes.length;
  }

  pollTimeout(): TimeMs | undefined {
    const rateAllowsAtMs = this.pacer.nextSendAtMs;
    let atMs = rateAllowsAtMs;
    for (const { rounds, nextSendAtMs } of this.rateGroups) {
      atMs = Math.min(atMs, rounds.earliestDeadlineMs ?? Infinity);
      if (rateAllowsAtMs === Infinity) atMs = Math.min(atMs, nextSendAtMs);
    }
    return atMs === Infinity ? undefined : atMs;
  }

  /** Polls receivers that have not reported by the deadline of a round. */
  handleTimeout(nowMs: TimeMs): void {
    this.pacer.handleTimeout(nowMs);
    for (const rateGroup of this.rateGroups) {
      rateGroup.handleTimeout(nowMs);
      this.pollOwing(nowMs, rateGroup);
    }
    this.splitOffSlowReceivers(nowMs);
    this.advance();
  }

  private pollOwing(nowMs: TimeMs, { rounds: { window } }: RateGroup): void {
    // Iterates over a copy: polling can drop a receiver, and dropping a receiver can remove blocks.
    for (const block of [...window]) {
      if (window.find(block.index) !== block) continue;
      if (block.deadlineMs === undefined || block.deadlineMs > nowMs) continue;
      let nextAtMs = Infinity;
      for (const peer of this.options.peers) {
        if (!block.isAwaited(peer.index)) continue;
        const isDue = peer.pollAgainAtMs <= nowMs || peer.polledAtMs < block.sentAtMs;
        const isPut = !isDue || this.owner.poll(nowMs, peer);
        nextAtMs = Math.min(nextAtMs, isPut ? peer.pollAgainAtMs : nowMs + pollRetryMs);
      }
      block.deadlineMs = nextAtMs;
    }
  }

  // --- Rate groups

  private addRateGroup(): RateGroup {
    const { geometry, peers, reportIntervalMs, randomPhase, rateBytesPerSec } = this.options;
    const isMain = this.rateGroups.length === 0;
    const catchUpBlocks = Math.max(2, Math.floor(this.maxBlocks * catchUpShare));
    const rateGroup = new RateGroup(
      {
        isMain,
        geometry,
        peers,
        reportIntervalMs,
        maxBlocks: isMain ? this.maxBlocks : catchUpBlocks,
        controller: createCongestionController({
          blockDatagrams: geometry.segmentsPerBlock,
          datagramSizeBytes: geometry.mssBytes + sessionHeaderSizeBytes,
          reportIntervalMs,
          randomPhase: (randomPhase + this.rateGroups.length / 3) % 1,
          rateBytesPerSec: isMain ? rateBytesPerSec : undefined,
        }),
      },
      this,
    );
    if (!isMain) this.main.maxBlocks = Math.max(2, this.main.maxBlocks - catchUpBlocks);
    this.rateGroups.push(rateGroup);
    return rateGroup;
  }

  private advance(): void {
    for (const rateGroup of this.rateGroups) rateGroup.advance();
    if (!this.isContentOpen || this.isRead) return;
    for (const peer of this.options.peers) {
      if (peer.awaitsDigest && peer.view !== undefined) this.digestPass.advance(peer.view);
    }
  }

  /** @see RateGroupOwner */
  isHashed(block: number): boolean {
    return this.tree.has(block - this.options.geometry.manifestBlockCount);
  }

  /** @see RateGroupOwner */
  nextWanted(block: number): number | undefined {
    const { manifestBlockCount } = this.options.geometry;
    const place = this.views.nextWanted(block - manifestBlockCount);
    return place === undefined ? undefined : manifestBlockCount + place;
  }

  /** Whether a rate group is waiting for this block's bytes. */
  private isBeingRead(index: number): boolean {
    return this.rateGroups.some(({ rounds }) => rounds.window.find(index)?.isRead === false);
  }

  /** Moves slow receivers to catch-up groups, so that the other receivers need not wait for them. */
  private splitOffSlowReceivers(nowMs: TimeMs): void {
    if (nowMs - this.slowReceiversCheckedAtMs < slowReceiverCheckMs) return;
    this.slowReceiversCheckedAtMs = nowMs;
    const slowReceivers = findSlowReceivers(nowMs, this.main.servedPeers);
    if (slowReceivers.length === 0) return;
    for (const peer of slowReceivers) this.splitOff(nowMs, peer);
    for (const rateGroup of this.rateGroups) rateGroup.measure();
    this.main.controller.handleSplit();
  }

  private splitOff(nowMs: TimeMs, peer: SessionPeer): void {
    this.main.release(peer);
    const isRoom = this.rateGroups.length <= maxCatchUpRateGroups;
    peer.rateGroup = isRoom
      ? this.addRateGroup()
      : at(this.rateGroups, 1 + (peer.index % maxCatchUpRateGroups));
    if (peer.isMulticastReachable) {
      peer.isMulticastReachable = false;
      this.owner.poll(nowMs, peer);
    }
    peer.model.restart();
  }

  /** @see RateGroupOwner */
  open(rateGroup: RateGroup, block: SessionBlock): void {
    const { geometry, manifest } = this.options;
    const { index } = block;
    const offsetBytes = offsetOfBlock(geometry, index);
    const sizeBytes = sizeOfBlock(geometry, index);
    if (isManifestBlock(geometry, index)) {
      block.generation = generations.manifest;
      const bytes = manifest.subarray(offsetBytes, offsetBytes + sizeBytes);
      rateGroup.fill(block, () => this.encoder.load(block, bytes));
      return;
    }
    block.generation = generations.content;
    for (const { rounds } of this.rateGroups) {
      const other = rounds.window.find(index);
      if (other === undefined || other === block) continue;
      // Another rate group has already requested these bytes and is waiting for them.
      if (!other.isRead) return;
      if (other.wire === undefined) continue;
      rateGroup.fill(block, () => this.encoder.copy(other, block));
      return;
    }
    const place = index - geometry.manifestBlockCount;
    if (!this.digestPass.isReading(place)) this.owner.need(index, offsetBytes, sizeBytes);
  }

  /** @see RateGroupOwner */
  close(block: SessionBlock): void {
    this.encoder.unload(block);
  }

  // --- Datagrams

  /** @see RateGroupOwner */
  transmit(
    nowMs: TimeMs,
    rateGroup: RateGroup,
    block: SessionBlock,
    receiver: number,
    segments: SegmentSet,
  ): Transmit {
    const { peers, group } = this.options;
    const burst = this.lastBurst === undefined ? 0 : (this.lastBurst + 1) & 0xffff;
    this.lastBurst = burst;
    rateGroup.lastBurst = burst;
    const count = segments.size;
    let repairs = 0;
    const to = receiver === toGroup ? group : at(peers, receiver).address;
    assert(to !== undefined, 'what goes to the group has a group to go to');
    const transmit = this.encoder.encode(to, block, segments, burst);
    if (receiver === toGroup) {
      this.groupDatagramsSent += count;
      rateGroup.groupBursts.add(nowMs, burst, count);
    } else {
      at(peers, receiver).unicastBursts.add(nowMs, burst, count);
    }
    for (const index of receiver === toGroup ? rateGroup.groupMembers : [receiver]) {
      const peer = at(peers, index);
      const ownRepairs = block.noteBurst(index, burst, segments);
      peer.datagramsSent += count;
      if (block.isPending(index)) peer.noteNeededSent(nowMs, count);
      peer.repairs += ownRepairs;
      repairs = Math.max(repairs, ownRepairs);
    }
    this.datagramsSent += count;
    this.repairs += repairs;
    this.bytesSent += transmit.bytes.length - count * this.encoder.framingSizeBytes;
    return transmit;
  }
}

/** How often to look for slow receivers. */
const slowReceiverCheckMs = 100;
