/** Partial blocks at a receiver, and the memory budget that all sessions of the host share. */
import { lastBit, lowBits } from '../base/bit-masks.js';
import type { TimeMs } from '../base/machine.js';
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
  /** Mask of the missing segments: low half, then high half. */
  missingLow: number;
  missingHigh: number;
  /**
   * Mask of the missing segments that count as lost. If such a segment arrives later, it counts as a repair.
   */
  private lostLow = 0;
  private lostHigh = 0;
  /** Segments that arrived as repairs. */
  repairedCount = 0;
  /** Burst of the last batch that brought a new segment. */
  burst = 0;
  takenAtMs: TimeMs = 0;

  constructor(
    readonly generation: number,
    /** Buffer in which each segment is stored at its final offset. Gaps contain data from earlier use. */
    readonly sealed: Uint8Array,
    private readonly segmentCount: number,
  ) {
    this.missingLow = lowBits(segmentCount);
    this.missingHigh = lowBits(segmentCount - 32);
  }

  get isComplete(): boolean {
    return (this.missingLow | this.missingHigh) === 0;
  }

  /**
   * Marks missing segments as lost.
   * @param isAll true to mark all missing segments; false to mark only those before the last segment that has
   *   arrived
   */
  noteLoss(isAll: boolean): void {
    const { missingLow, missingHigh, segmentCount } = this;
    const heldLow = ~missingLow & lowBits(segmentCount);
    const heldHigh = ~missingHigh & lowBits(segmentCount - 32);
    const end = isAll ? segmentCount : lastBit(heldLow, heldHigh);
    this.lostLow |= missingLow & lowBits(end);
    this.lostHigh |= missingHigh & lowBits(end - 32);
  }

  /**
   * Stores the new segments of a batch.
   * @returns the number of new segments
   */
  take(batch: SegmentBatch, mssBytes: number): number {
    let count = 0;
    for (let i = 0; i < batch.count; i++) {
      const segment = batch.segment(i);
      const bit = 1 << (segment & 31);
      if (segment < 32) {
        if ((this.missingLow & bit) === 0) continue;
        this.missingLow &= ~bit;
        if ((this.lostLow & bit) !== 0) this.repairedCount++;
      } else {
        if ((this.missingHigh & bit) === 0) continue;
        this.missingHigh &= ~bit;
        if ((this.lostHigh & bit) !== 0) this.repairedCount++;
      }
      this.sealed.set(batch.body(i), segment * mssBytes);
      count++;
    }
    if (count > 0) this.burst = batch.burst;
    return count;
  }
}
