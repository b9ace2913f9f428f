/** The contiguous runs of blocks that are asked of one source, from the first ask to the last arrival. */
import type { TimeMs } from '../../base/machine.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { FetchSegment, ReplacedReason, SourceIndex } from './fetch-events.js';

export interface OpenSegment {
  readonly startBlock: number;
  /** Exclusive. */
  readonly endBlock: number;
  readonly startMs: TimeMs;
  readonly retries: number;
  readonly deliveredBytes: number;
  readonly replaced: ReplacedReason | undefined;
}

type MutableSegment = { -readonly [Key in keyof OpenSegment]: OpenSegment[Key] };

export class OpenSegments {
  /** In the order in which they were asked for. There are at most as many as blocks in flight. */
  private segments: MutableSegment[] = [];

  /** Notes blocks that are asked for. Blocks next to the latest segment extend it. */
  add(nowMs: TimeMs, startBlock: number, endBlock: number, retries: number): void {
    const last = this.segments.at(-1);
    if (last !== undefined && last.retries === retries && last.replaced === undefined) {
      if (last.endBlock === startBlock) {
        last.endBlock = endBlock;
        return;
      }
      if (last.startBlock === endBlock) {
        last.startBlock = startBlock;
        return;
      }
    }
    const [deliveredBytes, replaced] = [0, undefined];
    this.segments.push({ startBlock, endBlock, startMs: nowMs, retries, deliveredBytes, replaced });
  }

  /** The source has delivered a block. */
  deliver(block: number, sizeBytes: number): void {
    const segment = this.find(block);
    if (segment !== undefined) segment.deliveredBytes += sizeBytes;
  }

  /** The source has lost these blocks, the last of those that it was asked for. */
  replace(startBlock: number, endBlock: number, reason: ReplacedReason): void {
    for (const segment of this.segments) {
      if (segment.startBlock >= endBlock || startBlock >= segment.endBlock) continue;
      segment.replaced = reason;
      segment.endBlock = Math.max(segment.startBlock, startBlock);
    }
  }

  /** Removes and returns the segment of this block if none of its blocks is asked for any more. */
  takeFinished(block: number, asked: ReadonlyRangeSet): OpenSegment | undefined {
    const segment = this.find(block);
    if (segment === undefined || hasAny(asked, segment)) return undefined;
    this.segments.splice(this.segments.indexOf(segment), 1);
    return segment;
  }

  /** Removes and returns all segments of which no block is asked for any more. */
  takeAllFinished(asked: ReadonlyRangeSet): readonly OpenSegment[] {
    const finished = this.segments.filter((segment) => !hasAny(asked, segment));
    this.segments = this.segments.filter((segment) => hasAny(asked, segment));
    return finished;
  }

  private find(block: number): MutableSegment | undefined {
    for (const segment of this.segments) {
      if (segment.startBlock <= block && block < segment.endBlock) return segment;
    }
    return undefined;
  }
}

function hasAny(asked: ReadonlyRangeSet, { startBlock, endBlock }: OpenSegment): boolean {
  const next = asked.nextFrom(startBlock);
  return next !== undefined && next < endBlock;
}

/** The segment of a block that the source delivers although it had lost it. */
export function lateSegment(nowMs: TimeMs, block: number, deliveredBytes: number): OpenSegment {
  const blocks = { startBlock: block, endBlock: block + 1 };
  return { ...blocks, startMs: nowMs, retries: 0, deliveredBytes, replaced: undefined };
}

export function toFetchSegment(
  { startBlock, startMs, retries, deliveredBytes: sizeBytes, replaced }: OpenSegment,
  source: SourceIndex,
  blockSizeBytes: number,
  endMs: TimeMs,
): FetchSegment {
  const firstByte = startBlock * blockSizeBytes;
  const row = { source, firstByte, sizeBytes, startMs, endMs, retries };
  return { type: 'segment', ...row, ...withoutUndefined({ replaced }) };
}
