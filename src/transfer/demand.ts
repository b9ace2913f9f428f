/** What one receiver still needs of a session's blocks, and what its reports say about itself. */
import type { TimeMs } from '../base/machine.js';
import type { Range } from '../base/range-set.js';
import { RangeSet } from '../base/range-set.js';
import { SegmentSet } from '../base/segment-set.js';
import type { DigestView, DigestViews } from '../object/digest-view.js';
import { Arrivals, probeSegments } from '../path/arrivals.js';
import type { Path } from '../path/path.js';
import type { ReceiverState, Report } from '../wire/report.js';
import { ReceiverShare } from './receiver-share.js';
import type { SessionBlock } from './sealed-block.js';

/** What a receiver says about itself when it has its outcome. */
export interface FinalFigures {
  readonly isComplete: boolean;
  readonly receivedBytes: number;
  readonly segmentsReceived: number;
  readonly segmentsLost: number;
}

export class Demand {
  private isBeingServed = false;
  private hasEnded = false;
  /** Blocks that the receiver misses and that are not in flight to the receiver. */
  private readonly needed = new RangeSet();
  /**
   * Needed blocks that were already sent to the receiver, in whole or in part, and then dropped from the
   * window. Sending these blocks again counts as repair.
   */
  private readonly sentInVain = new RangeSet();
  /** The missing segments of the partial blocks of the last report, by block number. */
  private parts = new Map<number, SegmentSet>();
  /** Content blocks that the receiver keeps unread. It announces them before it reports its gaps. */
  private kept = new RangeSet();
  /** Content blocks that the sender has withdrawn, and the same blocks by their numbers in the session. */
  private withdrawn = new RangeSet();
  private withdrawnBlocks: readonly Range[] = [];
  private digestView: DigestView | undefined;

  private lastState: ReceiverState = 'preparing';
  private lastMissingBytes: number | undefined;
  private lastWindowBlocks = Infinity;
  private hasReportedGaps = false;
  /** Content bytes received in this session: before the receiver's last restart, and since that restart. */
  private earlierBytes = 0;
  private laterBytes = 0;
  /** Data datagrams that have arrived, by the number of the path. */
  private arrivedBy: number[] = [];
  /** Data datagrams that have arrived in all, once the receiver is done. */
  private finalArrived: number | undefined;
  /** Number of paths by which the receiver is served. */
  private pathCount = 1;
  private lostCount = 0;

  private sentCount = 0;
  private repairCount = 0;
  private readonly arrivals = new Arrivals();
  /** What the receiver lets the session send to it, by all its paths together. */
  readonly share: ReceiverShare;

  constructor(
    /** The receiver's number in the session. */
    readonly index: number,
    readonly path: Path,
  ) {
    this.share = new ReceiverShare(path);
  }

  // --- Service

  /** Whether the sender sends data to the receiver and expects its reports. */
  get isServed(): boolean {
    return this.isBeingServed;
  }

  /** Begins or continues to serve the receiver. */
  resume(): void {
    this.isBeingServed = true;
  }

  /** Stops serving the receiver, which might come back. */
  suspend(): void {
    this.isBeingServed = false;
  }

  /** Discards everything that the receiver has reported, because the receiver might have restarted. */
  restart(): void {
    this.needed.clear();
    this.parts.clear();
    this.kept = new RangeSet();
    this.lastState = 'preparing';
    this.lastMissingBytes = undefined;
    this.earlierBytes += this.laterBytes;
    this.laterBytes = 0;
    this.share.set(undefined);
    this.arrivals.handleArrival();
  }

  get isOver(): boolean {
    return this.hasEnded;
  }

  /** The receiver has its outcome. */
  end(): void {
    this.hasEnded = true;
    this.needed.clear();
  }

  // --- Needed blocks

  get needsNothing(): boolean {
    return this.needed.isEmpty;
  }

  /** Number of blocks that the receiver misses and that are not in flight to it. */
  get neededCount(): number {
    return this.needed.count;
  }

  /** Whether the receiver misses the block, and the block is not in flight to it. */
  needs(block: number): boolean {
    return this.needed.has(block);
  }

  /** Whether to send the block to the receiver: it needs the block, and gets more than probes or this as a probe. */
  wants(block: number): boolean {
    const { isProbed, isProbeDue } = this.arrivals;
    return this.needs(block) && (!isProbed || isProbeDue || this.arrivals.isProbe(block));
  }

  /** The first block from this one on that the receiver wants. */
  nextWanted(from: number): number | undefined {
    const { isProbed, isProbeDue } = this.arrivals;
    return isProbed && !isProbeDue ? undefined : this.needed.nextFrom(from);
  }

  /** The block is being read, to be sent. If a probe is due, the block carries it. */
  handleOpened(block: number): void {
    if (this.arrivals.isProbeDue && this.needs(block)) this.arrivals.probe(block);
  }

  /** Hands over a wanted block, which is in flight from now on. */
  handOver(block: SessionBlock): void {
    this.needed.remove(block.index, block.index + 1);
    const segments = this.parts.get(block.index);
    if (this.isProbed) block.setMissingSegments(this.index, this.probeOf(block, segments));
    else if (segments === undefined) block.setMissing(this.index);
    else block.setMissingSegments(this.index, segments);
    if (!this.sentInVain.has(block.index)) return;
    this.sentInVain.remove(block.index, block.index + 1);
    block.noteSentBefore(this.index);
  }

  /** The few segments of a block that are sent as a probe. */
  private probeOf({ segmentCount }: SessionBlock, missing: SegmentSet | undefined): SegmentSet {
    const segments = SegmentSet.withCapacity(segmentCount);
    if (missing === undefined) segments.fill(segmentCount);
    else segments.assign(missing);
    segments.keepLowest(probeSegments);
    return segments;
  }

  /** Takes back what the receiver misses of a block in flight. */
  takeBack(block: SessionBlock): void {
    block.endFeedback(this.index);
    if (!block.isPending(this.index)) return;
    block.clearMissing(this.index);
    if (block.wasSent(this.index)) this.sentInVain.add(block.index, block.index + 1);
    this.needed.add(block.index, block.index + 1);
  }

  /** Replaces the needed blocks by the gaps that a report describes. */
  takeGaps({ firstBlock, describedBlocks, gaps }: Report): void {
    if (describedBlocks > firstBlock) this.needed.remove(firstBlock, describedBlocks);
    this.parts = new Map();
    for (const gap of gaps) {
      const end = gap.firstBlock + (gap.kind === 'whole' ? gap.blockCount : 1);
      this.needed.add(gap.firstBlock, end);
      if (gap.kind === 'part') this.parts.set(gap.firstBlock, gap.segments);
    }
    // The receiver need not know yet what is withdrawn.
    for (const { start, end } of this.withdrawnBlocks) this.needed.remove(start, end);
  }

  /**
   * Updates a block in flight that the last report says is missing.
   * @param isCovered whether the report covers the block's whole round
   */
  updateInFlight(block: SessionBlock, isCovered: boolean): void {
    const { index } = this;
    this.needed.remove(block.index, block.index + 1);
    const segments = this.parts.get(block.index);
    // If a report does not cover the whole round, it shows which segments have arrived, but not which are
    // lost.
    if (isCovered || !block.isPending(index)) {
      if (segments === undefined) block.setMissing(index);
      else block.setMissingSegments(index, segments);
      block.endFeedback(index);
    } else if (segments !== undefined) {
      block.keepMissingSegments(index, segments);
    }
  }

  // --- Digests

  /** Number of ranges of blocks that the receiver has announced to keep. */
  get keptRangeCount(): number {
    return this.kept.rangeCount;
  }

  /** Notes blocks that the receiver keeps. Once it has reported its gaps, the list is final. */
  keep(ranges: readonly Range[]): void {
    if (this.digestView !== undefined) return;
    for (const { start, end } of ranges) this.kept.add(start, end);
  }

  /** The digests that the receiver needs; undefined until it has announced all blocks that it keeps. */
  get view(): DigestView | undefined {
    return this.digestView;
  }

  openView(views: DigestViews): void {
    if (this.digestView !== undefined) return;
    const without = new RangeSet(this.kept.ranges());
    for (const { start, end } of this.withdrawn.ranges()) without.add(start, end);
    this.digestView = views.open(without);
  }

  /**
   * The receiver needs neither these content blocks nor their digests any more.
   * @param first the number of the first content block in the session
   */
  withdraw(places: RangeSet, first: number, views: DigestViews): void {
    this.withdrawn = places;
    const shifted = [...places.ranges()].map((each) => ({
      start: first + each.start,
      end: first + each.end,
    }));
    this.withdrawnBlocks = shifted;
    for (const { start, end } of shifted) this.needed.remove(start, end);
    if (this.digestView === undefined) return;
    this.closeView(views);
    this.openView(views);
  }

  closeView(views: DigestViews): void {
    if (this.digestView !== undefined) views.close(this.digestView);
    this.digestView = undefined;
  }

  // --- Reports

  get state(): ReceiverState {
    return this.lastState;
  }

  /** The size of its missing blocks, according to its last report. */
  get missingBytes(): number | undefined {
    return this.lastMissingBytes;
  }

  /** Number of blocks that the receiver has memory for, on each of its paths. */
  get windowBlocks(): number {
    return Math.max(1, Math.floor(this.lastWindowBlocks / this.pathCount));
  }

  /** The paths share the memory of the receiver. */
  setPathCount(count: number): void {
    this.pathCount = count;
  }

  /** Whether the receiver has reported its gaps in the content. */
  get isReady(): boolean {
    return this.hasReportedGaps;
  }

  /** Whether the receiver has all blocks that it needs and only waits for its root. */
  get awaitsDigest(): boolean {
    return this.isServed && this.state === 'whole';
  }

  /** Content bytes received in this session. */
  get receivedBytes(): number {
    return this.earlierBytes + this.laterBytes;
  }

  get segmentsReceived(): number {
    return this.finalArrived ?? this.arrivedBy.reduce((sum, count) => sum + count, 0);
  }

  /** Number of data datagrams that have arrived by this path, according to the last report on it. */
  arrivedOn(path: number): number {
    return this.arrivedBy[path] ?? 0;
  }

  get segmentsLost(): number {
    return this.lostCount;
  }

  /** Takes everything from a report but its gaps. @param describesContent whether the report covers the content */
  takeReport(nowMs: TimeMs, report: Report, describesContent: boolean): void {
    this.lastState = report.state;
    this.lastMissingBytes = report.missingBytes;
    this.lastWindowBlocks = report.windowBlocks;
    this.share.set(report.shareBytesPerSec);
    this.laterBytes = report.receivedBytes;
    this.lostCount = report.segmentsLost;
    if (!this.takeArrivals(report))
      this.arrivals.handleVainReport(nowMs, this.state === 'receiving', this.longestRttMs);
    if (describesContent) this.hasReportedGaps = true;
  }

  /** Takes what a report says about one path. @returns whether anything has arrived */
  takeArrivals({ path, segmentsReceived }: Report): boolean {
    const hasArrived = segmentsReceived > (this.arrivedBy[path] ?? 0);
    this.arrivedBy[path] = segmentsReceived;
    if (hasArrived) this.arrivals.handleArrival();
    return hasArrived;
  }

  /** An upper estimate of the round-trip time, also before data has been answered. */
  private get longestRttMs(): number {
    return Math.max(this.path.rtt.timeoutMs, this.path.model.rttMs);
  }

  takeFinal({ isComplete, ...figures }: FinalFigures): void {
    if (isComplete) this.lastMissingBytes = 0;
    this.laterBytes = figures.receivedBytes;
    this.finalArrived = figures.segmentsReceived;
    this.lostCount = figures.segmentsLost;
  }

  // --- Sent datagrams

  /** Number of data datagrams sent to the receiver, by multicast or unicast. */
  get datagramsSent(): number {
    return this.sentCount;
  }

  get repairs(): number {
    return this.repairCount;
  }

  /** Number of datagrams of needed blocks sent to the receiver. */
  get neededDatagramsSent(): number {
    return this.arrivals.neededSent;
  }

  handleSent(nowMs: TimeMs, count: number, repairs: number, isNeeded: boolean): void {
    this.sentCount += count;
    this.repairCount += repairs;
    if (isNeeded) this.arrivals.handleSent(nowMs, count);
  }

  /**
   * Time for which the receiver has reported that no datagrams arrive. The time is 0 while datagrams arrive,
   * and until enough datagrams were sent for a conclusion.
   */
  get unreachedMs(): number {
    return this.state === 'receiving' ? this.arrivals.forMs : 0;
  }

  /** Whether the receiver gets only probes, because its reports show that nothing else arrives. */
  get isProbed(): boolean {
    return this.arrivals.isProbed;
  }

  /** This process was suspended. The receiver does not count as unreached for that time. */
  handleStop(stoppedMs: number): void {
    this.arrivals.handleStop(stoppedMs);
  }
}
