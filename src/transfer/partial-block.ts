/** Blocks being put together at a receiver, within a budget that all sessions of a host share. */
import { lastBit, lowBits } from '../base/bit-masks.js';
import type { TimeMs } from '../base/machine.js';
import type { SegmentBatch } from './segment-batch.js';

/** Memory that a host spends on blocks that are not complete, or not yet written. */
export class MemoryBudget {
  usedBytes = 0;

  constructor(readonly limitBytes: number) {}

  get isExhausted(): boolean {
    return this.usedBytes >= this.limitBytes;
  }
}

/** One sealed block, of which some segments have come. */
export class PartialBlock {
  /** Segments that are lacking, low half and high half. */
  missingLow: number;
  missingHigh: number;
  /** Of those, the ones that were sent and lost: if they come, that is a repair. */
  private lostLow = 0;
  private lostHigh = 0;
  /** Segments that came as repairs. */
  repairedCount = 0;
  /** The burst that its last segment came in. */
  burst = 0;
  takenAtMs: TimeMs = 0;

  constructor(
    readonly generation: number,
    /** What has come, in its place; the rest is what was there before. */
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
   * What it lacks has been sent, and is lost.
   * @param isAll whether all of the block has been sent; else what comes before the last segment that came
   */
  noteLoss(isAll: boolean): void {
    const { missingLow, missingHigh, segmentCount } = this;
    const heldLow = ~missingLow & lowBits(segmentCount);
    const heldHigh = ~missingHigh & lowBits(segmentCount - 32);
    const end = isAll ? segmentCount : lastBit(heldLow, heldHigh);
    this.lostLow |= missingLow & lowBits(end);
    this.lostHigh |= missingHigh & lowBits(end - 32);
  }

  /** @returns how many of the run's segments were not there before */
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
