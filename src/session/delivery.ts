/**
 * Delivery of the blocks of one session: its lanes, what goes out for them, and what reports say. Opening a
 * session and its end are session-sender.ts.
 */
import type { Address } from '../address.js';
import { assert, at } from '../assert.js';
import type { TimeMs, Transmit } from '../machine.js';
import { toGroup } from '../rounds.js';
import type { BlockSeal } from './block-seal.js';
import { isEqualBytes } from './byte-codec.js';
import { tagSizeBytes } from './crypto.js';
import { DigestTree } from './digest-tree.js';
import type { Hash } from './hash-tree.js';
import { hashLeaf } from './hash-tree.js';
import { findLaggards } from './laggards.js';
import { Lane } from './lane.js';
import { Pacer } from './pacer.js';
import type { Report } from './report.js';
import { takeLacks } from './report-intake.js';
import type { SessionBlock } from './session-block.js';
import { callTiming, sessionDefaults } from './session-config.js';
import type { SessionGeometry } from './session-geometry.js';
import { isManifestBlock, offsetOfBlock, sizeOfBlock, sizeOfSegment } from './session-geometry.js';
import {
  burstsAhead,
  dataFlag,
  sessionHeaderSizeBytes,
  writeBlockHeader,
} from './session-packet.js';
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
  /** 0..1, another one for each session. */
  readonly chance: number;
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

/** A block reads the same each time, or it is not sent: its nonce never meets another plaintext. */
const generations = { manifest: 0, content: 1 } as const;

/** When to try again to ask a receiver, where too many are asked at once. */
const pollPutOffMs = 10;

/** Reports in a row without anything new, though the group was sent to: it does not reach there. */
const barrenReports = 4;

/** Who is left behind beyond these shares a lane with another. */
const maxCatchUpLanes = 8;

/** What one of them may have of the blocks in flight. */
const catchUpShare = 1 / 16;

/** What those left behind get at least of a rate that is set, all together. */
const catchUpRateShare = 1 / 8;

export class Delivery {
  readonly tree: DigestTree;
  datagramsSent = 0;
  groupDatagramsSent = 0;
  bytesSent = 0;
  /** Whether each datagram bears a tag: somebody made data up. */
  usesTags = false;
  repairs = 0;

  /** The main one first. */
  private readonly lanes: Lane[] = [];
  private readonly main: Lane;
  /** The lane whose burst is on its way. */
  private sendingLane: Lane | undefined;
  private readonly maxBlocks: number;
  /** Of a rate that is set. */
  private readonly pacer = new Pacer();
  /** Something was held back for that rate's sake. */
  private isPaced = false;
  /** What catch-up lanes have a right to send before the main one does, in datagrams. */
  private catchUpCredit = 0;
  /** Undefined before anything was sent. */
  private lastBurst: number | undefined;
  isContentOpen = false;
  private laggardsCheckedAtMs: TimeMs = -Infinity;

  constructor(
    private readonly options: DeliveryOptions,
    private readonly owner: DeliveryOwner,
  ) {
    const { geometry, hash, peers } = options;
    const contentBlockCount = geometry.blockCount - geometry.manifestBlockCount;
    this.tree = new DigestTree(hash, contentBlockCount);
    const { maxInFlightBytes } = sessionDefaults;
    this.maxBlocks = Math.max(2, Math.floor(maxInFlightBytes / geometry.blockSizeBytes));
    this.main = this.addLane();
    for (const peer of peers) peer.lane = this.main;
  }

  /** Whether every block of the content has been read. */
  get isRead(): boolean {
    return this.tree.isComplete;
  }

  /** Whether it was too slow for the others, and is served by unicast at its own pace. */
  isLeftBehind(peer: SessionPeer): boolean {
    return peer.lane !== this.main;
  }

  /** Whether a receiver has nothing in flight and needs nothing more of what is known. */
  owesNothing(peer: SessionPeer): boolean {
    if (!peer.needed.isEmpty) return false;
    for (const { rounds } of this.lanes) {
      for (const block of rounds.window) if (block.isPending(peer.index)) return false;
    }
    return true;
  }

  /** From now on the content is read, and sent to whoever needs it. */
  openContent(): void {
    if (this.isContentOpen) return;
    this.isContentOpen = true;
    for (const lane of this.lanes) lane.wake();
    this.advance();
  }

  provideBlock(index: number, bytes: Uint8Array): void {
    const { geometry, seal, hash } = this.options;
    assert(bytes.length === sizeOfBlock(geometry, index), 'a block of its size');
    // By the time the bytes are there, the session may be over.
    if (!this.lanes.some(({ rounds }) => rounds.window.find(index) !== undefined)) return;
    if (!isManifestBlock(geometry, index)) {
      const leaf = hashLeaf(hash, bytes);
      const place = index - geometry.manifestBlockCount;
      if (this.tree.has(place) && !isEqualBytes(this.tree.leaf(place), leaf)) {
        this.owner.sourceChanged(offsetOfBlock(geometry, index));
        return;
      }
      this.tree.set(place, leaf);
    }
    let sealed: Uint8Array | undefined;
    for (const lane of this.lanes) {
      const block = lane.rounds.window.find(index);
      if (block === undefined || block.hasBytes) continue;
      lane.fill(block, () => {
        sealed ??= seal.seal(index, block.generation, bytes);
        return sealed;
      });
    }
    this.advance();
  }

  handleReport(nowMs: TimeMs, peer: SessionPeer, report: Report): void {
    this.takeSamples(nowMs, peer, report);
    this.takeGroup(peer, report);
    if (report.windowBlocks !== peer.windowBlocks) {
      peer.windowBlocks = report.windowBlocks;
      peer.lane?.measure();
    }
    // Bursts that were not sent yet: somebody makes data up.
    const isMadeUp =
      report.throughBurst !== undefined &&
      (this.lastBurst === undefined || burstsAhead(report.throughBurst, this.lastBurst) > 0);
    this.usesTags ||= report.wantsTags || isMadeUp;
    const { lane } = peer;
    if (lane !== undefined) {
      takeLacks(lane.rounds.window, peer, report, this.lastBurst);
      lane.handleReport(nowMs, peer);
    }
    this.leaveLaggards(nowMs);
    this.advance();
  }

  /** A receiver has begun to take part, has left, or has fallen silent. */
  handleChange(peer: SessionPeer): void {
    if (!peer.isServed) {
      peer.lane?.release(peer);
      if (peer.isSettled) peer.needed.clear();
    }
    for (const lane of this.lanes) lane.measure();
    this.advance();
  }

  /** A receiver takes part as if it never had before: it counts from the beginning. */
  handleRestart(peer: SessionPeer): void {
    peer.receivedByGroup = 0;
    peer.unicastBase = peer.unicastLog.total;
    peer.unicastOver = peer.unicastLog.total;
    peer.groupOver = peer.lane?.groupLog.total ?? 0;
    peer.parts = new Map();
    peer.model.restart();
  }

  /** Nothing more is sent. */
  end(): void {
    for (const lane of this.lanes) lane.end();
    this.isContentOpen = false;
  }

  // --- Sending

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    const { rateBytesPerSec } = this.options;
    // A burst goes out whole before the next one begins, whichever lane that is of.
    const going = this.sendingLane?.rounds.continueRound(nowMs);
    if (going === undefined) this.sendingLane = undefined;
    this.isPaced =
      going === undefined && rateBytesPerSec !== undefined && !this.pacer.maySend(nowMs);
    if (this.isPaced) return undefined;
    const transmit = going ?? this.pollLanes(nowMs);
    if (transmit === undefined || rateBytesPerSec === undefined) return transmit;
    this.pacer.handleSent(nowMs, (transmit.bytes.length * 1000) / rateBytesPerSec);
    const isCatchUp = this.sendingLane !== this.main;
    if (this.lanes.length > 1)
      this.catchUpCredit += isCatchUp ? catchUpRateShare - 1 : catchUpRateShare;
    return transmit;
  }

  /** The main lane goes first, but with a rate that is set the others are not left without. */
  private pollLanes(nowMs: TimeMs): Transmit | undefined {
    const isCatchUpFirst = this.catchUpCredit > 0;
    const last = this.lanes.length - 1;
    for (let i = 0; i <= last; i++) {
      const lane = at(this.lanes, isCatchUpFirst ? last - i : i);
      const transmit = lane.pollTransmit(nowMs);
      if (transmit === undefined) continue;
      this.sendingLane = lane;
      return transmit;
    }
    this.catchUpCredit = 0;
    return undefined;
  }

  pollTimeout(): TimeMs | undefined {
    let atMs = this.isPaced ? this.pacer.nextAtMs : Infinity;
    for (const { rounds, nextSendAtMs } of this.lanes) {
      atMs = Math.min(atMs, rounds.earliestDeadlineMs ?? Infinity);
      if (!this.isPaced) atMs = Math.min(atMs, nextSendAtMs);
    }
    return atMs === Infinity ? undefined : atMs;
  }

  /** Whose report has not come by the end of the round is asked for it. */
  handleTimeout(nowMs: TimeMs): void {
    // The host may be busy: it sends when it can, and need not be woken for that.
    if (nowMs >= this.pacer.nextAtMs) this.isPaced = false;
    for (const lane of this.lanes) {
      lane.handleTimeout(nowMs);
      this.pollOwing(nowMs, lane);
    }
    this.advance();
  }

  private pollOwing(nowMs: TimeMs, { rounds: { window } }: Lane): void {
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
  }

  // --- Lanes

  private addLane(): Lane {
    const { geometry, peers, reportIntervalMs, chance, rateBytesPerSec } = this.options;
    const isMain = this.lanes.length === 0;
    const laneBlocks = Math.max(2, Math.floor(this.maxBlocks * catchUpShare));
    const lane = new Lane(
      {
        isMain,
        geometry,
        peers,
        reportIntervalMs,
        maxBlocks: isMain ? this.maxBlocks : laneBlocks,
        chance: (chance + this.lanes.length / 3) % 1,
        hasFixedRate: isMain && rateBytesPerSec !== undefined,
      },
      this,
    );
    if (!isMain) this.main.maxBlocks = Math.max(2, this.main.maxBlocks - laneBlocks);
    this.lanes.push(lane);
    return lane;
  }

  private advance(): void {
    for (const lane of this.lanes) lane.advance();
  }

  /** Who would hold up the others goes on at its own pace. */
  private leaveLaggards(nowMs: TimeMs): void {
    if (nowMs - this.laggardsCheckedAtMs < laggardCheckMs) return;
    this.laggardsCheckedAtMs = nowMs;
    const laggards = findLaggards(nowMs, this.main.servedPeers);
    if (laggards.length === 0) return;
    for (const peer of laggards) this.leaveBehind(nowMs, peer);
    for (const lane of this.lanes) lane.measure();
    this.main.control.restart();
  }

  private leaveBehind(nowMs: TimeMs, peer: SessionPeer): void {
    this.main.release(peer);
    const isRoom = this.lanes.length <= maxCatchUpLanes;
    peer.lane = isRoom ? this.addLane() : at(this.lanes, 1 + (peer.index % maxCatchUpLanes));
    if (peer.hearsGroup) {
      peer.hearsGroup = false;
      this.owner.poll(nowMs, peer);
    }
    peer.model.restart();
  }

  /** @see LaneOwner */
  open(lane: Lane, block: SessionBlock): void {
    const { geometry, manifest } = this.options;
    const { index } = block;
    const offsetBytes = offsetOfBlock(geometry, index);
    const sizeBytes = sizeOfBlock(geometry, index);
    if (isManifestBlock(geometry, index)) {
      block.generation = generations.manifest;
      const bytes = manifest.subarray(offsetBytes, offsetBytes + sizeBytes);
      lane.fill(block, () => this.options.seal.seal(index, block.generation, bytes));
      return;
    }
    block.generation = generations.content;
    for (const { rounds } of this.lanes) {
      const other = rounds.window.find(index);
      if (other === undefined || other === block) continue;
      const { sealed } = other;
      // It is asked for already.
      if (sealed === undefined) return;
      if (sealed.length === 0) continue;
      lane.fill(block, () => sealed);
      return;
    }
    this.owner.need(index, offsetBytes, sizeBytes);
  }

  // --- Datagrams

  /** @see LaneOwner */
  transmit(
    nowMs: TimeMs,
    lane: Lane,
    block: SessionBlock,
    segment: number,
    receiver: number,
  ): Transmit {
    const { peers, group } = this.options;
    const isRepair = block.round > 1;
    if (block.burst === undefined) {
      block.burst = this.lastBurst === undefined ? 0 : (this.lastBurst + 1) & 0xffff;
      this.lastBurst = block.burst;
    }
    this.datagramsSent++;
    if (isRepair) this.repairs++;
    this.bytesSent += sizeOfSegment(this.options.geometry, block.index, segment);
    if (receiver === toGroup) {
      this.groupDatagramsSent++;
      lane.groupLog.add(nowMs, block.burst, 1);
      for (const index of lane.groupMembers) count(at(peers, index), isRepair);
      assert(group !== undefined, 'there is a group');
      return { to: group, bytes: this.encode(block, segment, segment === block.lastSegment) };
    }
    const peer = at(peers, receiver);
    count(peer, isRepair);
    peer.unicastLog.add(nowMs, block.burst, 1);
    const isEnd = segment === block.lastLacking(receiver);
    return { to: peer.address, bytes: this.encode(block, segment, isEnd) };
  }

  /** What goes to several receivers in one round is encoded once. */
  private encode(block: SessionBlock, segment: number, isEnd: boolean): Uint8Array {
    if (!isEnd) {
      const made = block.packets[segment];
      if (made !== undefined) return made;
    }
    const { session, geometry, seal } = this.options;
    const offset = segment * geometry.mssBytes;
    const size = sizeOfSegment(geometry, block.index, segment);
    const end = sessionHeaderSizeBytes + size;
    const bytes = new Uint8Array(end + (this.usesTags ? tagSizeBytes : 0));
    const { index, generation, burst, sealed } = block;
    assert(sealed !== undefined && burst !== undefined, 'a block that is sent is sealed');
    writeBlockHeader(bytes, this.usesTags, {
      session,
      generation,
      block: index,
      segment,
      flags: isEnd ? dataFlag.endOfBurst : 0,
      burst,
    });
    const body = sealed.subarray(offset, offset + size);
    bytes.set(body, sessionHeaderSizeBytes);
    if (this.usesTags) bytes.set(seal.tag(bytes.subarray(0, sessionHeaderSizeBytes), body), end);
    if (!isEnd) block.packets[segment] = bytes;
    return bytes;
  }

  // --- Reports

  private takeSamples(nowMs: TimeMs, peer: SessionPeer, report: Report): void {
    peer.segmentsLost = report.segmentsLost;
    const { lane, unicastLog, hearsGroup } = peer;
    const { throughBurst, latestBurst, heldMs } = report;
    if (latestBurst === undefined || this.lastBurst === undefined || lane === undefined) return;
    // A burst that is not sent yet was made up.
    if (burstsAhead(this.lastBurst, latestBurst) < 0) return;
    const { groupLog, control } = lane;
    const sentThrough = (burst: number) =>
      unicastLog.totalThrough(burst) + (hearsGroup ? groupLog.totalThrough(burst) : 0);
    if (throughBurst !== undefined && burstsAhead(this.lastBurst, throughBurst) >= 0) {
      peer.unicastOver = Math.max(peer.unicastOver, unicastLog.totalThrough(throughBurst));
      peer.groupOver = Math.max(peer.groupOver, groupLog.totalThrough(throughBurst));
      unicastLog.forgetBefore(throughBurst);
    }
    const sentAtMs = Math.max(
      unicastLog.sentAtMs(latestBurst) ?? -Infinity,
      (hearsGroup ? groupLog.sentAtMs(latestBurst) : undefined) ?? -Infinity,
    );
    const arrivedAtMs = nowMs - heldMs;
    if (sentAtMs === -Infinity || arrivedAtMs < sentAtMs) return;
    peer.rtt.sample(arrivedAtMs - sentAtMs);
    peer.model.take({
      nowMs,
      arrivedAtMs,
      sentAtMs,
      sentThroughLatest: sentThrough(latestBurst),
      sentThroughOver: sentThrough(throughBurst ?? latestBurst),
      sent: unicastLog.total + (hearsGroup ? groupLog.total : 0),
      received: report.segmentsReceived,
      limitedUntilMs: control.limitedUntilMs,
      gentleSinceMs: control.gentleSinceMs,
      isGrowing: control.state === 'startup',
    });
  }

  private takeGroup(peer: SessionPeer, report: Report): void {
    // What was sent to it alone cannot have come by the group. Where some of that was lost, this is too
    // low, which costs unicast and nothing else.
    const byGroup = report.segmentsReceived - (peer.unicastLog.total - peer.unicastBase);
    if (byGroup > peer.receivedByGroup) {
      peer.receivedByGroup = byGroup;
      peer.barrenGroupReports = 0;
    } else if (report.state === 'receiving' && this.groupDatagramsSent > peer.groupSentAtReport) {
      peer.barrenGroupReports++;
    }
    peer.groupSentAtReport = this.groupDatagramsSent;
    if (peer.barrenGroupReports >= barrenReports) peer.isGroupLost = true;
    peer.segmentsReceived = report.segmentsReceived;
    const hearsGroup =
      this.options.group !== undefined &&
      report.hearsGroup &&
      !peer.isGroupLost &&
      !this.isLeftBehind(peer);
    if (hearsGroup === peer.hearsGroup) return;
    peer.hearsGroup = hearsGroup;
    // What goes to the group counts from now on, or no longer.
    peer.groupOver = peer.lane?.groupLog.total ?? 0;
    peer.model.restart();
    peer.lane?.measure();
  }
}

/** When to ask again a receiver that owes a report. */
function pollAtMs(peer: SessionPeer): TimeMs {
  const waitMs = Math.max(peer.rtt.timeoutMs, callTiming.pollMs) * 2 ** peer.unansweredPolls;
  return peer.polledAtMs + Math.min(waitMs, callTiming.maxMs);
}

function count(peer: SessionPeer, isRepair: boolean): void {
  peer.datagramsSent++;
  if (isRepair) peer.repairs++;
}

/** How often to look for those who hold up the others. */
const laggardCheckMs = 100;
