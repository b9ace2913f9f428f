/** Blocks being put together at a receiver, within a budget that all sessions of a host share. */
import { lowBits } from '../block-window.js';
import type { TimeMs } from '../machine.js';
import type { BlockRun } from './block-run.js';

/** Memory that a host spends on blocks that are not complete, or not yet written. */
export class MemoryBudget {
  usedBytes = 0;

  constructor(readonly limitBytes: number) {}

  get isExhausted(): boolean {
    return this.usedBytes >= this.limitBytes;
  }
}

/** One sealed block, of which some segments have come. */
export class Assembly {
  /** Segments that are lacking, low half and high half. */
  lackingLow: number;
  lackingHigh: number;
  /** Whether what it lacks was sent and lost: what comes now is a repair. */
  isRepaired: boolean;
  /** The burst that its last segment came in. */
  burst = 0;
  takenAtMs: TimeMs = 0;

  constructor(
    readonly generation: number,
    /** What has come, in its place; the rest is what was there before. */
    readonly sealed: Uint8Array,
    segmentCount: number,
    isRepaired: boolean,
  ) {
    this.lackingLow = lowBits(segmentCount);
    this.lackingHigh = lowBits(segmentCount - 32);
    this.isRepaired = isRepaired;
  }

  get isComplete(): boolean {
    return (this.lackingLow | this.lackingHigh) === 0;
  }

  /** @returns how many of the run's segments were not there before */
  take(run: BlockRun, mssBytes: number): number {
    let count = 0;
    for (let i = 0; i < run.count; i++) {
      const segment = run.segment(i);
      const bit = 1 << (segment & 31);
      if (segment < 32) {
        if ((this.lackingLow & bit) === 0) continue;
        this.lackingLow &= ~bit;
      } else {
        if ((this.lackingHigh & bit) === 0) continue;
        this.lackingHigh &= ~bit;
      }
      this.sealed.set(run.body(i), segment * mssBytes);
      count++;
    }
    if (count > 0) this.burst = run.burst;
    return count;
  }
}
