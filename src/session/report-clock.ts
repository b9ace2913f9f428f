/** When a receiver's next report is due, and what it may say of the sender's bursts (SESSIONS 5.4). */
import type { TimeMs } from '../machine.js';
import type { BlockPacket } from './session-packet.js';
import { burstsAhead, dataFlag } from './session-packet.js';

/** How long after the last datagram a report is due that no end of a burst asked for. */
const endOfBurstLostMs = 4;

export class ReportClock {
  /** Everything up to this burst has come, or is lost; undefined before the first. */
  throughBurst: number | undefined;
  /** The highest burst of which anything has come. */
  latestBurst: number | undefined;
  dueAtMs: TimeMs = Infinity;
  private latestAtMs: TimeMs = 0;
  private reportedAtMs: TimeMs;

  /** @param chance 0..1: receivers report in turn; where in the interval each does is left to chance */
  constructor(
    nowMs: TimeMs,
    private readonly intervalMs: number,
    chance: number,
  ) {
    this.reportedAtMs = nowMs - chance * intervalMs;
  }

  handleBlock(nowMs: TimeMs, { burst, flags }: BlockPacket): void {
    const { latestBurst } = this;
    if (latestBurst === undefined || burstsAhead(burst, latestBurst) > 0) {
      // What was sent before it has come, or is lost.
      if (latestBurst !== undefined) this.noteThrough((burst - 1) & 0xffff);
      this.latestBurst = burst;
    }
    if (burst === this.latestBurst) this.latestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.noteThrough(burst);
      this.want(nowMs);
    } else if (this.dueAtMs === Infinity) {
      // The end of the burst may be lost.
      this.dueAtMs = Math.max(nowMs + endOfBurstLostMs, this.reportedAtMs + this.intervalMs);
    }
  }

  noteThrough(burst: number): void {
    if (this.throughBurst === undefined || burstsAhead(burst, this.throughBurst) > 0) {
      this.throughBurst = burst;
    }
  }

  isThrough(burst: number): boolean {
    return this.throughBurst !== undefined && burstsAhead(this.throughBurst, burst) >= 0;
  }

  /** For how long the latest burst has been here. */
  heldMs(nowMs: TimeMs): number {
    return this.latestBurst === undefined ? 0 : nowMs - this.latestAtMs;
  }

  /** A report goes out as soon as this receiver's turn comes. */
  want(nowMs: TimeMs): void {
    this.dueAtMs = Math.min(this.dueAtMs, Math.max(nowMs, this.reportedAtMs + this.intervalMs));
  }

  handleReported(nowMs: TimeMs): void {
    this.reportedAtMs = nowMs;
    this.dueAtMs = Infinity;
  }

  /** Nothing is to be reported any more. */
  stop(): void {
    this.dueAtMs = Infinity;
  }
}
