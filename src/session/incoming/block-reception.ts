/**
 * Receives the data of one incoming session: takes the datagrams, reassembles the blocks, and creates the
 * reports of missing data (SESSIONS 5).
 */
import type { TimeMs } from '../../base/machine.js';
import type { Range, RangeSet, ReadonlyRangeSet } from '../../base/range-set.js';
import type { SessionGeometry } from '../../object/geometry.js';
import { BlockSeal } from '../../security/block-seal.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { FeedbackScheduler } from '../../transfer/feedback-scheduler.js';
import type { MemoryBudget } from '../../transfer/partial-block.js';
import type { Taken } from '../../transfer/reassembler.js';
import { Reassembler } from '../../transfer/reassembler.js';
import { SegmentBatch } from '../../transfer/segment-batch.js';
import { sessionHeaderSizeBytes } from '../../wire/header.js';
import type { Offer } from '../../wire/offer.js';
import type { ReceiverState, Report } from '../../wire/report.js';
import type { IncomingPathStatus } from '../receiver-events.js';
import { IncomingPaths } from './incoming-paths.js';
import type { IncomingShares, Inflow } from './incoming-shares.js';
import type { DatagramFigures, ReceptionFigures } from './incoming-status.js';
import { QuietTimer } from './quiet-timer.js';

export interface BlockReceptionOptions {
  readonly crypto: SessionCrypto;
  readonly budget: MemoryBudget;
  /** This session's share of the budget. */
  readonly shareBytes: () => number;
  /** How the sessions of this host share what can arrive; undefined if this session takes no part in that. */
  readonly shares: IncomingShares | undefined;
  /** Round-trip time of the handshake; undefined if it could not be measured. */
  readonly rttMs: number | undefined;
}

export class BlockReception {
  readonly paths: IncomingPaths;
  readonly quiet: QuietTimer;
  /** The batch that was read last. */
  readonly batch = new SegmentBatch();
  private readonly seal: BlockSeal;
  private readonly reassembler: Reassembler;
  private readonly hasGroup: boolean;
  /**
   * Whether reports describe the content. They do once this receiver knows which blocks the disk holds, and
   * the sender knows which of them are kept.
   */
  isContentKnown = false;
  /** The block where the next report continues. */
  private reportCursor = 0;
  /** Whether the sender has begun to tag each datagram. */
  private hasTags = false;
  private isMulticastReachable = false;
  private hasLeftGroup = false;
  private badBlocks = 0;
  private updatedBlocks = 0;
  private readonly inflow: Inflow | undefined;
  /** The number of losses that `inflow` counts. */
  private lossesCounted = 0;

  /** @param startedAtMs when the session began */
  constructor(
    private readonly options: BlockReceptionOptions,
    readonly geometry: SessionGeometry,
    { groupKey, group, reportIntervalMs }: Offer,
    nowMs: TimeMs,
    private readonly startedAtMs: TimeMs,
  ) {
    const { crypto, budget } = options;
    this.hasGroup = group !== undefined;
    this.seal = new BlockSeal(crypto, groupKey);
    const staleMs = minStaleMs + staleReports * reportIntervalMs;
    this.reassembler = new Reassembler(geometry, this.seal, budget, staleMs);
    const randomPhase = (crypto.random(1)[0] as number) / 256;
    this.paths = new IncomingPaths(
      (sizeBytes) => crypto.random(sizeBytes),
      (openedAtMs) => new FeedbackScheduler(openedAtMs, reportIntervalMs, randomPhase),
      nowMs,
    );
    this.quiet = new QuietTimer(nowMs, reportIntervalMs);
    this.inflow = options.shares?.open(
      options.rttMs,
      () => !this.isMulticastReachable,
      () => [...this.paths].filter(({ datagramsReceived }) => datagramsReceived > 0).length,
    );
  }

  /** Decides when a report on the first path is due, which also reports what concerns no path. */
  get feedback(): FeedbackScheduler {
    return this.paths.first.feedback;
  }

  // --- What is missing

  /**
   * Whether all expected blocks are present. Until `expectContent` is called, only manifest blocks are
   * expected.
   */
  get isWhole(): boolean {
    return this.reassembler.missing.isEmpty;
  }

  expectManifest(): void {
    this.reassembler.missing.add(0, this.geometry.manifestBlockCount);
  }

  /** @param missing the content blocks that the disk does not hold */
  expectContent(missing: RangeSet): void {
    this.reassembler.missing = missing;
    this.isContentKnown = true;
  }

  /** Expects exactly these content blocks from now on. @returns whether that changes anything */
  wantOnly(wanted: ReadonlyRangeSet): boolean {
    const { reassembler, geometry } = this;
    const first = geometry.manifestBlockCount;
    const { missing } = reassembler;
    const unwanted: Range[] = [];
    for (const { start, end } of missing.ranges()) {
      if (end > first) unwanted.push(...wanted.gaps(Math.max(start, first) - first, end - first));
    }
    const added: Range[] = [];
    for (const { start, end } of wanted.ranges()) {
      added.push(...missing.gaps(first + start, first + end));
    }
    for (const { start, end } of unwanted) reassembler.unwant(first + start, first + end);
    for (const { start, end } of added) reassembler.want(start, end);
    return unwanted.length + added.length > 0;
  }

  /** These blocks of the content will not arrive any more. */
  withdraw(withdrawn: ReadonlyRangeSet): void {
    const first = this.geometry.manifestBlockCount;
    for (const { start, end } of withdrawn.ranges())
      this.reassembler.unwant(first + start, first + end);
  }

  /** Records blocks that were damaged on the way or on disk. */
  noteBad(count: number): void {
    this.badBlocks += count;
  }

  /** Records blocks that were held, and differ from the sender's. */
  noteUpdated(count: number): void {
    this.updatedBlocks += count;
  }

  /** Requests a content block again. */
  markMissing(block: number): void {
    this.reassembler.markMissing(this.geometry.manifestBlockCount + block);
  }

  /** A content block is being written. */
  noteWrite(sizeBytes: number): void {
    this.reassembler.receivedBytes += sizeBytes;
    this.reassembler.unwrittenBytes += sizeBytes;
    this.options.budget.usedBytes += sizeBytes;
  }

  noteWritten(nowMs: TimeMs, sizeBytes: number): void {
    const { reassembler } = this;
    // The write might have been started by an earlier session that had the same number.
    reassembler.unwrittenBytes = Math.max(0, reassembler.unwrittenBytes - sizeBytes);
    this.feedback.want(nowMs);
  }

  /** Drops partial blocks and sends no more reports. */
  close(): void {
    this.reassembler.close();
    this.paths.stop();
    this.quiet.stop();
    if (this.inflow !== undefined) this.options.shares?.close(this.inflow);
  }

  // --- Datagrams

  /**
   * Processes the batch that was read last.
   * @returns the number of new datagrams, any fault, and the content of the block if it is now complete
   */
  takeBatch(nowMs: TimeMs): Taken {
    const { batch, reassembler } = this;
    const path = this.paths.find(batch.path);
    if (path === undefined) return { newCount: 0, fault: 'unproven-path', faultCount: batch.count };
    const { feedback } = path;
    if (!reassembler.isOfSession(batch)) {
      return { newCount: 0, fault: 'forged-data', faultCount: batch.count };
    }
    if (batch.isTagged) this.beginTags();
    feedback.handleBlock(nowMs, batch.burst, batch.flags);
    path.datagramsReceived += batch.count;
    this.quiet.handleArrival(nowMs);
    const taken = reassembler.take(nowMs, batch);
    this.noteInflow(nowMs, batch.count);
    if (taken.newCount > 0) feedback.handleTaken(nowMs, batch.burst);
    if (taken.fault === 'forged-data') feedback.want(nowMs);
    return taken;
  }

  private noteInflow(nowMs: TimeMs, count: number): void {
    const { inflow, geometry } = this;
    if (inflow === undefined) return;
    const { lossesNoticed } = this.reassembler;
    const lostCount = lossesNoticed - this.lossesCounted;
    this.lossesCounted = lossesNoticed;
    const sizeBytes = geometry.mssBytes + sessionHeaderSizeBytes;
    this.options.shares?.take(nowMs, inflow, count, lostCount, sizeBytes);
  }

  /** What the sender may send, in bytes per second; undefined for no limit. */
  private get shareBytesPerSec(): number | undefined {
    return this.inflow === undefined ? undefined : this.options.shares?.shareOf(this.inflow);
  }

  /**
   * Handles the sender's switch to tagged data. From then on, untagged data counts as forged. The burst
   * numbers seen so far are discarded, because they might be forged.
   */
  beginTags(): void {
    if (this.hasTags) return;
    this.hasTags = true;
    this.reassembler.wantsTags = true;
    this.paths.resetBursts();
  }

  /** Whether a multicast probe is authentic. */
  isProbe(header: Uint8Array, body: Uint8Array): boolean {
    return this.seal.hasTag(header, nothing, body);
  }

  /** Records that a multicast probe has arrived. @returns whether it is the first probe */
  noteProbe(): boolean {
    if (this.isMulticastReachable || this.hasLeftGroup) return false;
    this.isMulticastReachable = true;
    return true;
  }

  /** Whether multicast reaches this receiver. */
  get usesGroup(): boolean {
    return this.isMulticastReachable;
  }

  /** Whether a multicast probe is expected but has not arrived yet. */
  get awaitsProbe(): boolean {
    return this.hasGroup && !this.isMulticastReachable;
  }

  /** @returns false if this receiver had already left the group */
  leaveGroup(): boolean {
    if (this.hasLeftGroup) return false;
    this.hasLeftGroup = true;
    this.isMulticastReachable = false;
    return true;
  }

  // --- Reports

  /** Creates the report to send now. Gaps that do not fit into this report follow in the next one. */
  createReport(nowMs: TimeMs, state: ReceiverState, path = this.paths.first): Report {
    const { geometry, reassembler, paths } = this;
    const { feedback } = path;
    // Until the content is known, reports describe only the manifest.
    const endBlock = this.isContentKnown ? geometry.blockCount : geometry.manifestBlockCount;
    const firstBlock = this.reportCursor < endBlock ? this.reportCursor : 0;
    const { gaps, describedBlocks } = reassembler.list(
      firstBlock,
      endBlock,
      (number, burst) => paths.find(number)?.feedback.isCovered(burst) === true,
    );
    this.reportCursor = describedBlocks < endBlock ? describedBlocks : 0;
    if (this.reportCursor > 0) feedback.want(nowMs);
    return {
      state,
      path: path.number,
      cumulativeBurst: feedback.cumulativeBurst,
      largestBurst: feedback.largestBurst,
      ackDelayMs: feedback.ackDelayMs(nowMs),
      stampMs: nowMs - this.startedAtMs,
      isMulticastReachable: this.isMulticastReachable,
      wantsTags: reassembler.wantsTags,
      windowBlocks: this.windowBlocks(),
      shareBytesPerSec: this.shareBytesPerSec,
      segmentsReceived: path.datagramsReceived,
      segmentsLost: reassembler.segmentsLost,
      missingBytes: this.missingBytes,
      receivedBytes: reassembler.receivedBytes,
      firstBlock,
      describedBlocks,
      gaps,
    };
  }

  /** The part of the figures that takes no time. */
  get datagramFigures(): DatagramFigures {
    const { datagramsReceived, duplicates, segmentsLost: datagramsLost } = this.reassembler;
    return { datagramsReceived, duplicates, datagramsLost };
  }

  /** @param sessionFrom the address of the session */
  pathStatus(sessionFrom: string): readonly IncomingPathStatus[] {
    return this.paths.status(sessionFrom, this.geometry.mssBytes);
  }

  /** @param sessionFrom the address of the session */
  figures(sessionFrom: string): ReceptionFigures {
    return {
      ...this.datagramFigures,
      missingBytes: this.missingBytes,
      receivedBytes: this.reassembler.receivedBytes,
      usesGroup: this.isMulticastReachable,
      paths: this.pathStatus(sessionFrom),
      allowedBytesPerSec: this.shareBytesPerSec,
      badBlocks: this.badBlocks,
      updatedBlocks: this.updatedBlocks,
    };
  }

  private windowBlocks(): number {
    const freeBytes = this.options.shareBytes() - this.reassembler.unwrittenBytes;
    return Math.max(1, Math.floor(freeBytes / this.geometry.blockSizeBytes));
  }

  /** Counts all of the content as missing until the shell has reported which blocks the disk holds. */
  private get missingBytes(): number {
    const { missingBytes } = this.reassembler;
    return this.isContentKnown ? missingBytes : this.geometry.contentSizeBytes + missingBytes;
  }
}

/**
 * A partial block can be dropped to make room once it has received no segment for this time plus
 * `staleReports` report intervals.
 */
const minStaleMs = 1000;
const staleReports = 4;

const nothing = new Uint8Array(0);
