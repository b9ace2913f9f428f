/** Limits the rate of polls, because receivers that are polled together all report at the same time. */
import type { TimeMs } from '../base/machine.js';

/** After a quiet time, the polls that the permitted rate allows in `burstMs` may be sent at once. */
const burstMs = 50;

export class PollBudget {
  private readonly capacity: number;
  private tokens: number;
  private filledAtMs: TimeMs = -Infinity;

  constructor(private readonly pollsPerSec: number) {
    this.capacity = Math.max(1, (pollsPerSec * burstMs) / 1000);
    this.tokens = this.capacity;
  }

  /**
   * Takes permission for one poll from the budget.
   * @returns whether one receiver is allowed to be polled now
   */
  take(nowMs: TimeMs): boolean {
    const gained = ((nowMs - this.filledAtMs) * this.pollsPerSec) / 1000;
    this.tokens = Math.min(this.capacity, this.tokens + gained);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
