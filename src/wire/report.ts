/**
 * A receiver's report. Each report lists all gaps, not only those that changed, so a lost report costs
 * nothing but time. A block in the described range is complete unless a gap lists it.
 */
import { hasBit } from '../base/bit-masks.js';
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
      /** Bit i is set if segment i is missing. The mask has a low half and a high half. */
      readonly low: number;
      readonly high: number;
    };

/** What a receiver has, what is missing, and how the path behaved (SESSIONS 5). */
export interface Report {
  readonly state: ReceiverState;
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
  /** Number of data datagrams received since the session began, including duplicates. */
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
} as const;

export function writeReport(writer: ByteWriter, report: Report): void {
  const flags =
    (report.cumulativeBurst === undefined ? 0 : reportFlag.hasCumulative) |
    (report.largestBurst === undefined ? 0 : reportFlag.hasLargest) |
    (report.isMulticastReachable ? reportFlag.isMulticastReachable : 0) |
    (report.wantsTags ? reportFlag.wantsTags : 0);
  writer.uint8(states.indexOf(report.state)).uint8(flags);
  writer.uint16(report.cumulativeBurst ?? 0).uint16(report.largestBurst ?? 0);
  writer.varint(Math.round(report.ackDelayMs * 1000)).varint(Math.round(report.stampMs * 1000));
  writer.varint(report.windowBlocks);
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
      writeMask(writer, gap.low, gap.high);
      next = gap.firstBlock + 1;
    }
  }
}

/** Maximum size of one entry of the gap list. */
export const maxGapSizeBytes = 14;

export function readReport(reader: ByteReader): Report | undefined {
  const state = states[reader.uint8()];
  const flags = reader.uint8();
  const cumulativeBurst = reader.uint16();
  const largestBurst = reader.uint16();
  const ackDelayMs = reader.varint() / 1000;
  const stampMs = reader.varint() / 1000;
  const windowBlocks = reader.varint();
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
    cumulativeBurst: (flags & reportFlag.hasCumulative) === 0 ? undefined : cumulativeBurst,
    largestBurst: (flags & reportFlag.hasLargest) === 0 ? undefined : largestBurst,
    ackDelayMs,
    stampMs,
    isMulticastReachable: (flags & reportFlag.isMulticastReachable) !== 0,
    wantsTags: (flags & reportFlag.wantsTags) !== 0,
    windowBlocks,
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
 * Writes the numbers of the missing segments of a block. Up to seven are written as `2 * count + 1`, followed
 * by the numbers. More are written as 1, followed by both halves of the mask.
 */
function writeMask(writer: ByteWriter, low: number, high: number): void {
  const segments = segmentsOf(low, high, maxListed + 1);
  if (segments.length > maxListed) {
    writer.varint(1).uint32(low).uint32(high);
    return;
  }
  writer.varint(2 * segments.length + 1);
  for (const segment of segments) writer.uint8(segment);
}

const maxListed = 7;

function segmentsOf(low: number, high: number, limit: number): number[] {
  const segments: number[] = [];
  for (let i = 0; i < 64 && segments.length < limit; i++) {
    if (hasBit(low, high, i)) segments.push(i);
  }
  return segments;
}

function readGap(reader: ByteReader, firstBlock: number): Gap {
  const head = reader.varint();
  if (head % 2 === 0) {
    if (head === 0) reader.isGood = false;
    return { kind: 'whole', firstBlock, blockCount: head / 2 };
  }
  if (head === 1) return { kind: 'part', firstBlock, low: reader.uint32(), high: reader.uint32() };
  const count = (head - 1) / 2;
  if (count > maxListed) reader.isGood = false;
  let low = 0;
  let high = 0;
  for (let i = 0; i < count && reader.isGood; i++) {
    const segment = reader.uint8();
    if (segment < 32) low |= 1 << segment;
    else high |= 1 << (segment & 31);
  }
  return { kind: 'part', firstBlock, low: low >>> 0, high: high >>> 0 };
}
