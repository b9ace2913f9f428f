/**
 * A receiver's report. Each report lists all gaps, not only those that changed, so a lost report costs
 * nothing but time. A block in the described range is complete unless a gap lists it.
 */
import { maxSegmentNumbers, SegmentSet } from '../base/segment-set.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';

/** What a receiver is doing. */
export type ReceiverState = 'preparing' | 'receiving' | 'whole' | 'storing';
const states: readonly ReceiverState[] = ['preparing', 'receiving', 'whole', 'storing'];

/** Consecutive missing blocks, or one block with missing segments. */
export type Gap =
  | { readonly kind: 'whole'; readonly firstBlock: number; readonly blockCount: number }
  | {
      readonly kind: 'part';
      readonly firstBlock: number;
      /** The missing segments. */
      readonly segments: SegmentSet;
    };

/** What a receiver has, what is missing, and how the path behaved (SESSIONS 5). */
export interface Report {
  readonly state: ReceiverState;
  /** The path whose bursts and datagrams the report describes; its gaps are those of the whole session. */
  readonly path: number;
  /** All datagrams up to the end of this burst have arrived or are lost; undefined before the first burst. */
  readonly cumulativeBurst: number | undefined;
  /** The highest burst of which a datagram has arrived; undefined before the first burst. */
  readonly largestBurst: number | undefined;
  /** Time from the arrival of the last datagram of `largestBurst` until the report was sent. */
  readonly ackDelayMs: number;
  /** The time from the start of the session until the report was sent, on the receiver's clock. */
  readonly stampMs: number;
  /** Whether multicast reaches the receiver. */
  readonly isMulticastReachable: boolean;
  /** Whether the receiver wants a tag in each datagram, because it detected a forged block. */
  readonly wantsTags: boolean;
  /** Number of blocks that the receiver can reassemble at once. */
  readonly windowBlocks: number;
  /** What the session may send to the receiver, by all paths together, in bytes per second; undefined for no limit. */
  readonly shareBytesPerSec: number | undefined;
  /** Number of data datagrams received by this path since the session began, including duplicates. */
  readonly segmentsReceived: number;
  /** Number of segments lost since the session began. */
  readonly segmentsLost: number;
  /** Total size of all incomplete blocks, whether `gaps` lists them or not. */
  readonly missingBytes: number;
  /**
   * Size of the content received in this session. A block that was completed several times counts each time.
   */
  readonly receivedBytes: number;
  /** `gaps` describes the blocks from `firstBlock` up to but excluding `describedBlocks`. */
  readonly firstBlock: number;
  readonly describedBlocks: number;
  readonly gaps: readonly Gap[];
}

const reportFlag = {
  hasCumulative: 1,
  hasLargest: 2,
  isMulticastReachable: 4,
  wantsTags: 8,
  hasShare: 64,
} as const;

/** The bits of the flags that hold the number of the path, above the flags. */
const pathShift = 4;
const pathMask = 3;

export function writeReport(writer: ByteWriter, report: Report): void {
  const flags =
    (report.cumulativeBurst === undefined ? 0 : reportFlag.hasCumulative) |
    (report.largestBurst === undefined ? 0 : reportFlag.hasLargest) |
    (report.isMulticastReachable ? reportFlag.isMulticastReachable : 0) |
    (report.wantsTags ? reportFlag.wantsTags : 0) |
    (report.shareBytesPerSec === undefined ? 0 : reportFlag.hasShare) |
    (report.path << pathShift);
  writer.uint8(states.indexOf(report.state)).uint8(flags);
  writer.uint16(report.cumulativeBurst ?? 0).uint16(report.largestBurst ?? 0);
  writer.varint(Math.round(report.ackDelayMs * 1000)).varint(Math.round(report.stampMs * 1000));
  writer.varint(report.windowBlocks);
  if (report.shareBytesPerSec !== undefined) writer.varint(report.shareBytesPerSec);
  writer.varint(report.segmentsReceived).varint(report.segmentsLost);
  writer.varint(report.missingBytes).varint(report.receivedBytes).varint(report.firstBlock);
  writer.varint(report.describedBlocks - report.firstBlock);
  let next = report.firstBlock;
  for (const gap of report.gaps) {
    writer.varint(gap.firstBlock - next);
    if (gap.kind === 'whole') {
      writer.varint(2 * gap.blockCount);
      next = gap.firstBlock + gap.blockCount;
    } else {
      writeSegments(writer, gap.segments);
      next = gap.firstBlock + 1;
    }
  }
}

/** Maximum size of an entry of the gap list, for blocks of this many segments. */
export function maxGapSizeBytes(segmentCount: number): number {
  return 7 + Math.max(maxListed, Math.ceil(segmentCount / 8));
}

export function readReport(reader: ByteReader): Report | undefined {
  const state = states[reader.uint8()];
  const flags = reader.uint8();
  const cumulativeBurst = reader.uint16();
  const largestBurst = reader.uint16();
  const ackDelayMs = reader.varint() / 1000;
  const stampMs = reader.varint() / 1000;
  const windowBlocks = reader.varint();
  const shareBytesPerSec = (flags & reportFlag.hasShare) === 0 ? undefined : reader.varint();
  const segmentsReceived = reader.varint();
  const segmentsLost = reader.varint();
  const missingBytes = reader.varint();
  const receivedBytes = reader.varint();
  const firstBlock = reader.varint();
  const describedBlocks = firstBlock + reader.varint();
  const gaps: Gap[] = [];
  for (let next = firstBlock; reader.isGood && reader.remainingBytes > 0; ) {
    const first = next + reader.varint();
    const gap = readGap(reader, first);
    next = first + (gap.kind === 'whole' ? gap.blockCount : 1);
    gaps.push(gap);
    if (next > describedBlocks) return undefined;
  }
  if (!reader.isGood || state === undefined || describedBlocks > 2 ** 32) return undefined;
  return {
    state,
    path: (flags >>> pathShift) & pathMask,
    cumulativeBurst: (flags & reportFlag.hasCumulative) === 0 ? undefined : cumulativeBurst,
    largestBurst: (flags & reportFlag.hasLargest) === 0 ? undefined : largestBurst,
    ackDelayMs,
    stampMs,
    isMulticastReachable: (flags & reportFlag.isMulticastReachable) !== 0,
    wantsTags: (flags & reportFlag.wantsTags) !== 0,
    windowBlocks,
    shareBytesPerSec,
    segmentsReceived,
    segmentsLost,
    missingBytes,
    receivedBytes,
    firstBlock,
    describedBlocks,
    gaps,
  };
}

/**
 * Writes the missing segments of a block. Up to seven are written as `2 * count + 1`, followed by their
 * numbers. More are written as 1, followed by a bit mask: its size in bytes, then its bytes, segment 0 in the
 * lowest bit of the first byte.
 */
function writeSegments(writer: ByteWriter, segments: SegmentSet): void {
  const { size, last } = segments;
  if (size <= maxListed) {
    writer.varint(2 * size + 1);
    for (const segment of segments) writer.uint8(segment);
    return;
  }
  const byteCount = (last >>> 3) + 1;
  writer.varint(1).uint8(byteCount);
  for (let i = 0; i < byteCount; i++) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) if (segments.has(8 * i + bit)) byte |= 1 << bit;
    writer.uint8(byte);
  }
}

const maxListed = 7;

function readGap(reader: ByteReader, firstBlock: number): Gap {
  const head = reader.varint();
  if (head % 2 === 0) {
    if (head === 0) reader.isGood = false;
    return { kind: 'whole', firstBlock, blockCount: head / 2 };
  }
  const segments = SegmentSet.withCapacity(maxSegmentNumbers);
  if (head === 1) {
    const byteCount = reader.uint8();
    if (byteCount > maxSegmentNumbers / 8) reader.isGood = false;
    for (let i = 0; i < byteCount && reader.isGood; i++) {
      const byte = reader.uint8();
      for (let bit = 0; bit < 8; bit++) if ((byte >>> bit) & 1) segments.add(8 * i + bit);
    }
    return { kind: 'part', firstBlock, segments };
  }
  const count = (head - 1) / 2;
  if (count > maxListed) reader.isGood = false;
  for (let i = 0; i < count && reader.isGood; i++) segments.add(reader.uint8());
  return { kind: 'part', firstBlock, segments };
}
