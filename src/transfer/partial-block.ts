/** Partial blocks at a receiver, and the memory budget that all sessions of the host share. */
import type { TimeMs } from '../base/machine.js';
import { SegmentSet } from '../base/segment-set.js';
import type { SegmentBatch } from './segment-batch.js';

/** Tracks and limits the memory for blocks that are incomplete or not yet written. */
export class MemoryBudget {
  usedBytes = 0;

  constructor(readonly limitBytes: number) {}

  get isExhausted(): boolean {
    return this.usedBytes >= this.limitBytes;
  }
}

/** A sealed block of which some segments have arrived. */
export class PartialBlock {
  readonly missing: SegmentSet;
  /** The missing segments that count as lost. If such a segment arrives later, it counts as a repair. */
  private readonly lost: SegmentSet;
  /** The highest segment that has arrived; -1 if none has. */
  private lastArrived = -1;
  /** Segments that arrived as repairs. */
  repairedCount = 0;
  /** Burst of the last batch that brought a new segment, and the number of its path. */
  burst = 0;
  path = 0;
  takenAtMs: TimeMs = 0;

  constructor(
    readonly generation: number,
    /** Buffer in which each segment is stored at its final offset. Gaps contain data from earlier use. */
    readonly sealed: Uint8Array,
    segmentCount: number,
    /** Whether the block is sent again, after later blocks, although none of it was lost. */
    readonly isResent = false,
  ) {
    this.missing = SegmentSet.withCapacity(segmentCount);
    this.missing.fill(segmentCount);
    this.lost = SegmentSet.withCapacity(segmentCount);
  }

  get isComplete(): boolean {
    return this.missing.isEmpty;
  }

  /**
   * Marks missing segments as lost.
   * @param isAll true to mark all missing segments; false to mark only those before the last segment that has
   *   arrived
   * @returns how many of them were not marked before
   */
  noteLoss(isAll: boolean): number {
    const { lost } = this;
    const before = lost.size;
    if (isAll) lost.addAll(this.missing);
    else lost.addAllBelow(this.lastArrived, this.missing);
    return lost.size - before;
  }

  /**
   * Stores the new segments of a batch.
   * @returns the number of new segments
   */
  take(batch: SegmentBatch, mssBytes: number): number {
    let count = 0;
    for (let i = 0; i < batch.count; i++) {
      const segment = batch.segment(i);
      if (!this.missing.has(segment)) continue;
      this.missing.delete(segment);
      if (this.lost.has(segment)) this.repairedCount++;
      this.lastArrived = Math.max(this.lastArrived, segment);
      this.sealed.set(batch.body(i), segment * mssBytes);
      count++;
    }
    if (count > 0) {
      this.burst = batch.burst;
      this.path = batch.path;
    }
    return count;
  }
}
