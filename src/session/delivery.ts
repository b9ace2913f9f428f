/**
 * Delivery of the blocks of one session: which to open next, what each round sends by the group and what
 * to one receiver, and what reports say of it. Opening a session and its end are session-sender.ts.
 */
import type { Address } from '../address.js';
import { assert, at } from '../assert.js';
import { bitCount } from '../block-window.js';
import type { TimeMs, Transmit } from '../machine.js';
import { Rounds, toGroup } from '../rounds.js';
import { BatchEncoder } from './batch.js';
import type { BlockSeal } from './block-seal.js';
import { isEqualBytes } from './byte-codec.js';
import { FlightWindow } from './congestion.js';
import { DigestTree } from './digest-tree.js';
import type { Hash } from './hash-tree.js';
import { hashLeaf } from './hash-tree.js';
import { Pacer } from './pacer.js';
import type { Lack, Report } from './report.js';
import { SessionBlock } from './session-block.js';
import { callTiming, sessionDefaults } from './session-config.js';
import type { SessionGeometry } from './session-geometry.js';
import {
  isManifestBlock,
  offsetOfBlock,
  segmentCountOfBlock,
  sizeOfBlock,
} from './session-geometry.js';
import { burstsAhead } from './session-packet.js';
import type { SessionPeer } from './session-peer.js';

export interface DeliveryOptions {
  readonly session: number;
  readonly geometry: SessionGeometry;
  readonly manifest: Uint8Array;
  readonly peers: readonly SessionPeer[];
  readonly seal: BlockSeal;
  readonly hash: Hash;
  readonly group: Address | undefined;
  readonly reportIntervalMs: number;
  readonly rateBytesPerSec: number | undefined;
}

/** What delivery asks of the session that it is a part of. */
export interface DeliveryOwner {
  /** Content is needed: `provideBlock` takes it. */
  need(block: number, offsetBytes: number, sizeBytes: number): void;
  /** A block that was read before reads differently now. */
  sourceChanged(offsetBytes: number): void;
  /**
   * A receiver owes a report.
   * @returns false where others are asked first: try again a little later
   */
  poll(nowMs: TimeMs, peer: SessionPeer): boolean;
}

/** A block's generation is one byte. */
const maxPasses = 255;

/** When to try again to ask a receiver, where too many are asked at once. */
const pollPutOffMs = 10;

/** Moments of sending that are remembered, by burst: reports echo one of the latest. */
const burstTimes = 4096;

/** Reports in a row without anything new, though the group was sent to: it does not reach there. */
const barrenReports = 4;

export class Delivery {
  readonly tree: DigestTree;
  datagramsSent = 0;
  groupDatagramsSent = 0;
  bytesSent = 0;
  repairs = 0;

  private readonly encoder: BatchEncoder;
  private readonly rounds: Rounds<SessionBlock>;
  private readonly flightWindow: FlightWindow;
  private readonly pacer: Pacer | undefined;
  private readonly maxBlocks: number;
  /** Undefined before anything was sent. */
  private lastBurst: number | undefined;
  /** The last one that was sent to its end. */
  private lastWholeBurst: number | undefined;
  private readonly burstSentAtMs = new Float64Array(burstTimes);
  /** Active receivers that hear the group. */
  private groupMembers: number[] = [];
  /** Something was held back for the rate's sake. */
  private isPaced = false;
  private isContentOpen = false;
  /** The next block of the content to look at, and how often the content was gone through. */
  private cursor: number;
  private pass = 1;
  /** Nothing is needed until a report says so. */
  private isSweepIdle = false;
  private receiverWindowBlocks = Infinity;

  constructor(
    private readonly options: DeliveryOptions,
    private readonly owner: DeliveryOwner,
  ) {
    const { geometry, hash, peers, rateBytesPerSec } = options;
    const contentBlockCount = geometry.blockCount - geometry.manifestBlockCount;
    this.tree = new DigestTree(hash, contentBlockCount);
    this.encoder = new BatchEncoder(options.session, geometry, options.seal);
    this.cursor = geometry.manifestBlockCount;
    const { maxInFlightBytes } = sessionDefaults;
    this.maxBlocks = Math.max(2, Math.floor(maxInFlightBytes / geometry.blockSizeBytes));
    this.flightWindow = new FlightWindow(this.maxBlocks);
    this.pacer = rateBytesPerSec === undefined ? undefined : new Pacer(rateBytesPerSec);
    this.rounds = new Rounds(peers.length, () => new SessionBlock(peers.length), {
      isUninterrupted: true,
      sendsBatches: true,
      transmit: (nowMs, block, receiver, low, high) =>
        this.transmit(nowMs, block, receiver, low, high),
      timeoutMs: (nowMs, block) => this.endRound(nowMs, block),
      hearsGroup: (receiver) => at(peers, receiver).hearsGroup,
    });
  }

  /** Whether each datagram bears a tag: somebody made data up. */
  get usesTags(): boolean {
    return this.encoder.usesTags;
  }

  /** Everything up to this burst has left; undefined before the first. */
  get sentThroughBurst(): number | undefined {
    return this.lastWholeBurst;
  }

  /** Whether every block of the content has been read. */
  get isRead(): boolean {
    return this.tree.isComplete;
  }

  /** Whether a receiver has nothing in flight and needs nothing more of what is known. */
  owesNothing(peer: SessionPeer): boolean {
    if (!peer.needed.isEmpty) return false;
    for (const block of this.rounds.window) if (block.isPending(peer.index)) return false;
    return true;
  }

  /** From now on the content is read, and sent to whoever needs it. */
  openContent(nowMs: TimeMs): void {
    if (this.isContentOpen) return;
    this.isContentOpen = true;
    this.isSweepIdle = false;
    this.advance(nowMs);
  }

  provideBlock(nowMs: TimeMs, index: number, bytes: Uint8Array): void {
    const { geometry, hash, peers } = this.options;
    const block = this.rounds.window.find(index);
    // By the time the bytes are there, the session may be over.
    if (block === undefined) return;
    assert(!block.hasBytes, `block ${index} was provided twice`);
    assert(bytes.length === sizeOfBlock(geometry, index), 'a block of its size');
    if (!isManifestBlock(geometry, index)) {
      const leaf = hashLeaf(hash, bytes);
      const place = index - geometry.manifestBlockCount;
      if (this.tree.has(place) && !isEqualBytes(this.tree.leaf(place), leaf)) {
        this.owner.sourceChanged(offsetOfBlock(geometry, index));
        return;
      }
      this.tree.set(place, leaf);
    }
    // With nobody to send it to, it was read for its digest alone.
    block.isRead = true;
    for (const peer of peers) {
      if (!isServed(peer) || !peer.needed.has(index)) continue;
      peer.needed.remove(index, index + 1);
      block.setLacking(peer.index);
    }
    if (block.pendingCount > 0) {
      this.encoder.load(block, bytes);
      this.beginRound(block);
    }
    this.advance(nowMs);
  }

  handleReport(nowMs: TimeMs, peer: SessionPeer, report: Report): void {
    this.takeSamples(nowMs, peer, report);
    this.takeGroup(peer, report);
    if (report.windowBlocks !== peer.windowBlocks) {
      peer.windowBlocks = report.windowBlocks;
      this.measureReceivers();
    }
    // Bursts that were not sent yet: somebody makes data up.
    const isMadeUp =
      report.throughBurst !== undefined &&
      (this.lastBurst === undefined || burstsAhead(report.throughBurst, this.lastBurst) > 0);
    this.encoder.usesTags ||= report.wantsTags || isMadeUp;
    this.takeLacks(peer, report);
    if (!peer.needed.isEmpty) this.isSweepIdle = false;
    this.advance(nowMs);
  }

  /** A receiver has begun to take part, has left, or has fallen silent. */
  handleChange(nowMs: TimeMs, peer: SessionPeer): void {
    if (!isServed(peer)) {
      for (const block of this.rounds.window) {
        block.endAwait(peer.index);
        if (!block.isPending(peer.index)) continue;
        block.setLackingSegments(peer.index, 0, 0);
        if (!peer.isSettled) peer.needed.add(block.index, block.index + 1);
      }
      if (peer.isSettled) peer.needed.clear();
    }
    this.measureReceivers();
    this.isSweepIdle = false;
    this.advance(nowMs);
  }

  /** Nothing more is sent. */
  end(): void {
    this.rounds.window.clear();
    this.isContentOpen = false;
    this.isSweepIdle = true;
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (this.pacer !== undefined && !this.pacer.maySend(nowMs)) {
      this.isPaced = true;
      return undefined;
    }
    this.isPaced = false;
    const transmit = this.rounds.pollTransmit(nowMs);
    if (transmit !== undefined) this.pacer?.handleSent(nowMs, transmit.bytes.length);
    return transmit;
  }

  pollTimeout(): TimeMs | undefined {
    const deadlineMs = this.rounds.earliestDeadlineMs;
    if (this.pacer === undefined || !this.isPaced) return deadlineMs;
    return Math.min(this.pacer.nextAtMs, deadlineMs ?? Infinity);
  }

  /** Whose report has not come by the end of the round is asked for it. */
  handleTimeout(nowMs: TimeMs): void {
    // The host may be busy: it sends when it can, and need not be woken for that.
    if (this.pacer !== undefined && nowMs >= this.pacer.nextAtMs) this.isPaced = false;
    const { window } = this.rounds;
    // A receiver that is given up waiting for may take blocks out of the window.
    for (const block of [...window]) {
      if (window.find(block.index) !== block) continue;
      if (block.deadlineMs === undefined || block.deadlineMs > nowMs) continue;
      let nextAtMs = Infinity;
      for (const peer of this.options.peers) {
        if (!block.isAwaited(peer.index)) continue;
        const isDue = pollAtMs(peer) <= nowMs || peer.polledAtMs < block.sentAtMs;
        const isPut = !isDue || this.owner.poll(nowMs, peer);
        nextAtMs = Math.min(nextAtMs, isPut ? pollAtMs(peer) : nowMs + pollPutOffMs);
      }
      block.deadlineMs = nextAtMs;
    }
    this.advance(nowMs);
  }

  // --- Which block next

  private advance(nowMs: TimeMs): void {
    const { window } = this.rounds;
    window.dropWhere((block) => {
      const isOver = block.hasBytes && block.pendingCount === 0;
      if (isOver) this.encoder.unload(block);
      return isOver;
    });
    for (const block of window) {
      if (block.hasBytes && !block.isSending && block.awaitedCount === 0) this.beginRound(block);
    }
    this.openBlocks(nowMs);
  }

  private openBlocks(nowMs: TimeMs): void {
    const { geometry, manifest } = this.options;
    const { window } = this.rounds;
    const limit = Math.min(this.flightWindow.limit, this.receiverWindowBlocks);
    while (!this.isSweepIdle && window.length < limit) {
      const index = this.nextBlock();
      if (index === undefined) {
        this.isSweepIdle = true;
        return;
      }
      const block = window.push(index, 0, segmentCountOfBlock(geometry, index));
      const offsetBytes = offsetOfBlock(geometry, index);
      const sizeBytes = sizeOfBlock(geometry, index);
      if (isManifestBlock(geometry, index)) {
        // It never changes, so that its nonce may be used again.
        block.generation = 0;
        this.provideBlock(nowMs, index, manifest.subarray(offsetBytes, offsetBytes + sizeBytes));
      } else {
        block.generation = this.pass;
        this.owner.need(index, offsetBytes, sizeBytes);
      }
    }
  }

  /**
   * The manifest comes first. The content is gone through once as a whole, for its digest; what receivers
   * lack then, because they came late or it was bad, in further passes.
   */
  private nextBlock(): number | undefined {
    const { manifestBlockCount, blockCount } = this.options.geometry;
    const manifestBlock = this.nextNeeded(0);
    if (manifestBlock !== undefined && manifestBlock < manifestBlockCount) return manifestBlock;
    if (!this.isContentOpen) return undefined;
    if (this.pass === 1 && this.cursor < blockCount) return this.cursor++;
    for (;;) {
      const next = this.nextNeeded(this.cursor);
      if (next !== undefined) {
        this.cursor = next + 1;
        return next;
      }
      if (this.cursor === manifestBlockCount || this.pass === maxPasses) return undefined;
      this.cursor = manifestBlockCount;
      this.pass++;
    }
  }

  private nextNeeded(from: number): number | undefined {
    const { peers } = this.options;
    let first: number | undefined;
    for (const peer of peers) {
      if (!isServed(peer)) continue;
      let next = peer.needed.nextFrom(from);
      while (next !== undefined && this.rounds.window.find(next) !== undefined) {
        next = peer.needed.nextFrom(next + 1);
      }
      if (next !== undefined && (first === undefined || next < first)) first = next;
    }
    return first;
  }

  /** The slowest receiver that takes part sets how much may be under way; and who hears the group. */
  private measureReceivers(): void {
    this.receiverWindowBlocks = Infinity;
    this.groupMembers = [];
    for (const peer of this.options.peers) {
      if (!isServed(peer)) continue;
      this.receiverWindowBlocks = Math.min(
        this.receiverWindowBlocks,
        Math.max(1, peer.windowBlocks),
      );
      if (peer.hearsGroup) this.groupMembers.push(peer.index);
    }
  }

  // --- Rounds

  private beginRound(block: SessionBlock): void {
    block.beginRound();
    if (this.groupMembers.length > 0) block.sendToGroup(this.groupMembers);
  }

  private transmit(
    nowMs: TimeMs,
    block: SessionBlock,
    receiver: number,
    low: number,
    high: number,
  ): Transmit {
    const burst = this.noteBurst(nowMs, block);
    // Whoever gets something by the group too has all of the burst with the end of that.
    const isMember = receiver !== toGroup && at(this.options.peers, receiver).hearsGroup;
    const isEnd = !(isMember && block.hasGroupPart);
    const { peers, group } = this.options;
    const to = receiver === toGroup ? group : at(peers, receiver).address;
    assert(to !== undefined, 'what goes to the group has a group to go to');
    const transmit = this.encoder.encode(to, block, { low, high, burst, isEnd });
    this.countSent(block, receiver, bitCount(low) + bitCount(high), transmit.bytes.length);
    return transmit;
  }

  private noteBurst(nowMs: TimeMs, block: SessionBlock): number {
    if (block.burst === undefined) {
      block.burst = this.lastBurst === undefined ? 0 : (this.lastBurst + 1) & 0xffff;
      this.lastBurst = block.burst;
    }
    this.burstSentAtMs[block.burst % burstTimes] = nowMs;
    return block.burst;
  }

  private countSent(
    { round }: SessionBlock,
    receiver: number,
    count: number,
    sizeBytes: number,
  ): void {
    const { peers } = this.options;
    const repairs = round > 1 ? count : 0;
    this.datagramsSent += count;
    this.repairs += repairs;
    this.bytesSent += sizeBytes - count * this.encoder.framingSizeBytes;
    if (receiver === toGroup) this.groupDatagramsSent += count;
    else at(peers, receiver).unicastSent += count;
    for (const index of receiver === toGroup ? this.groupMembers : [receiver]) {
      const peer = at(peers, index);
      peer.datagramsSent += count;
      peer.repairs += repairs;
    }
  }

  /** All of a round is sent: whose reports are awaited, and for how long. */
  private endRound(nowMs: TimeMs, block: SessionBlock): number {
    const { peers, reportIntervalMs } = this.options;
    block.sentAtMs = nowMs;
    this.lastWholeBurst = block.burst ?? this.lastWholeBurst;
    let longestMs = 0;
    for (const peer of peers) {
      if (!block.isPending(peer.index)) continue;
      block.await(peer.index);
      longestMs = Math.max(longestMs, peer.rtt.timeoutMs);
    }
    return reportIntervalMs + longestMs;
  }

  // --- Reports

  private takeSamples(nowMs: TimeMs, peer: SessionPeer, report: Report): void {
    peer.segmentsLost = report.segmentsLost;
    if (report.latestBurst === undefined || this.lastBurst === undefined) return;
    const ageBursts = burstsAhead(this.lastBurst, report.latestBurst);
    // A burst that is not sent yet, or too long ago to remember, was made up or comes too late.
    if (ageBursts < 0 || ageBursts >= burstTimes) return;
    const sentAtMs = this.burstSentAtMs[report.latestBurst % burstTimes] as number;
    const rttMs = nowMs - sentAtMs - report.heldMs;
    if (rttMs < 0) return;
    peer.rtt.sample(rttMs);
    peer.minRttMs = Math.min(peer.minRttMs, rttMs);
    this.flightWindow.handleSample(nowMs, rttMs, peer.minRttMs);
  }

  private takeGroup(peer: SessionPeer, report: Report): void {
    // What was sent to it alone cannot have come by the group. Where some of that was lost, this is too
    // low, which costs unicast and nothing else.
    const byGroup = report.segmentsReceived - peer.unicastSent;
    if (byGroup > peer.receivedByGroup) {
      peer.receivedByGroup = byGroup;
      peer.barrenGroupReports = 0;
    } else if (report.state === 'receiving' && this.groupDatagramsSent > peer.groupSentAtReport) {
      peer.barrenGroupReports++;
    }
    peer.groupSentAtReport = this.groupDatagramsSent;
    if (peer.barrenGroupReports >= barrenReports) peer.isGroupLost = true;
    peer.segmentsReceived = report.segmentsReceived;
    const hearsGroup = this.options.group !== undefined && report.hearsGroup && !peer.isGroupLost;
    if (hearsGroup === peer.hearsGroup) return;
    peer.hearsGroup = hearsGroup;
    this.measureReceivers();
  }

  private takeLacks(peer: SessionPeer, report: Report): void {
    const { window } = this.rounds;
    const { index } = peer;
    const { firstBlock, describedBlocks } = report;
    const isDescribed = (block: SessionBlock) =>
      block.index >= firstBlock && block.index < describedBlocks;
    if (describedBlocks > firstBlock) peer.needed.remove(firstBlock, describedBlocks);
    const lacked = new Set<SessionBlock>();
    const parts = new Map<number, Lack & { kind: 'part' }>();
    for (const lack of report.lacks) {
      const end = lack.firstBlock + (lack.kind === 'whole' ? lack.blockCount : 1);
      peer.needed.add(lack.firstBlock, end);
      if (lack.kind === 'part') parts.set(lack.firstBlock, lack);
    }
    for (const block of window) {
      if (!isDescribed(block) || !block.hasBytes || !peer.needed.has(block.index)) continue;
      lacked.add(block);
      peer.needed.remove(block.index, block.index + 1);
      const { low, high } = parts.get(block.index) ?? { low: allSegments, high: allSegments };
      // A report that does not know this round yet tells what has come, not what was lost.
      if (this.covers(report, block) || !block.isPending(index)) {
        block.setLackingSegments(index, low, high);
        block.endAwait(index);
      } else {
        block.keepLackingSegments(index, low, high);
      }
    }
    for (const block of window) {
      if (!isDescribed(block) || lacked.has(block) || !block.isPending(index)) continue;
      block.setLackingSegments(index, 0, 0);
      block.endAwait(index);
    }
  }

  /** Whether everything of the block's round had come to the receiver, or was lost, by this report. */
  private covers(report: Report, block: SessionBlock): boolean {
    const { throughBurst } = report;
    if (throughBurst === undefined || block.isSending) return false;
    if (this.lastBurst === undefined || burstsAhead(throughBurst, this.lastBurst) > 0) return false;
    // Nothing of the round was to be sent: whoever lacked it is gone.
    if (block.burst === undefined) return true;
    return burstsAhead(throughBurst, block.burst) >= 0;
  }
}

/** Whether a receiver is sent to, and waited for. */
function isServed(peer: SessionPeer): boolean {
  return peer.status === 'active' && peer.isResponsive;
}

/** When to ask again a receiver that owes a report. */
function pollAtMs(peer: SessionPeer): TimeMs {
  const waitMs = Math.max(peer.rtt.timeoutMs, callTiming.pollMs) * 2 ** peer.unansweredPolls;
  return peer.polledAtMs + Math.min(waitMs, callTiming.maxMs);
}

const allSegments = 0xffffffff;
