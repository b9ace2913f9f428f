/** Limits how many receivers are polled, because the reports of all polled receivers arrive at the sender at once. */
import type { TimeMs } from '../base/machine.js';

/** The burst allowed after a quiet time. At the permitted rate, it would take this many milliseconds. */
const burstMs = 50;

export class PollBudget {
  private readonly capacity: number;
  private tokens: number;
  private filledAtMs: TimeMs = -Infinity;

  constructor(private readonly pollsPerSec: number) {
    this.capacity = Math.max(1, (pollsPerSec * burstMs) / 1000);
    this.tokens = this.capacity;
  }

  /** @returns whether one receiver may be polled now */
  take(nowMs: TimeMs): boolean {
    const gained = ((nowMs - this.filledAtMs) * this.pollsPerSec) / 1000;
    this.tokens = Math.min(this.capacity, this.tokens + gained);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
