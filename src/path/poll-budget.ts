/** How many receivers may be asked for a report: their answers come at once, and all to one sender. */
import type { TimeMs } from '../base/machine.js';

/** What may be asked in one go after a quiet time. */
const burstMs = 50;

export class PollBudget {
  private readonly capacity: number;
  private tokens: number;
  private filledAtMs: TimeMs = -Infinity;

  constructor(private readonly pollsPerSec: number) {
    this.capacity = Math.max(1, (pollsPerSec * burstMs) / 1000);
    this.tokens = this.capacity;
  }

  /** @returns whether one may be asked now */
  take(nowMs: TimeMs): boolean {
    const gained = ((nowMs - this.filledAtMs) * this.pollsPerSec) / 1000;
    this.tokens = Math.min(this.capacity, this.tokens + gained);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
