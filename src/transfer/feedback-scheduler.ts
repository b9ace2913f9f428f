/**
 * Decides when a receiver's next report is due, and which bursts that report may acknowledge (SESSIONS 5.4).
 */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead, dataFlag } from '../wire/header.js';

/** Without an end of burst, a report is due at the first turn this long after the first new datagram. */
const endOfBurstLostMs = 4;

/** Maximum time for which a report waits for reordered datagrams. */
const maxReorderMs = 500;

/**
 * Minimum report interval at which receivers take turns. With a shorter interval, there are so few receivers
 * that all of them may report at once.
 */
const turnsFromIntervalMs = 10;

/** Maximum gap between reports that a sender may request. A longer gap could stall the session. */
const maxGapMs = 1000;

/** Number of recent bursts whose end times are remembered. */
const rememberedBursts = 256;

/**
 * Maximum number of ended bursts that wait for reordered datagrams. On a fast path, a few thousand bursts end
 * within `maxReorderMs`.
 */
const mostEnding = 4096;

export class FeedbackScheduler {
  /**
   * All datagrams up to and including this burst have arrived or are lost. Undefined before the first burst.
   */
  cumulativeBurst: number | undefined;
  /** The highest burst of which any datagram has arrived. */
  largestBurst: number | undefined;
  dueAtMs: TimeMs = Infinity;
  private largestAtMs: TimeMs = 0;
  private reportedAtMs: TimeMs;
  /**
   * Time of one of this receiver's turns. Its other turns are a whole number of intervals earlier or later.
   */
  private readonly turnAtMs: TimeMs;
  /** Bursts that have ended but whose reordered datagrams may still arrive, oldest first. */
  private readonly ending: { readonly burst: number; readonly atMs: TimeMs }[] = [];
  private gapMs = 0;
  /** Number of paths that share the interval. */
  private pathCount = 1;
  /** Estimated time for which reordered datagrams still arrive after the end of their burst. */
  private reorderMs = 0;
  private readonly endedAtMs = new Float64Array(rememberedBursts);

  /** @param randomPhase position of this receiver's turn within the interval, 0..1 */
  constructor(
    nowMs: TimeMs,
    private readonly intervalMs: number,
    randomPhase: number,
  ) {
    this.reportedAtMs = nowMs - intervalMs;
    this.turnAtMs = nowMs - randomPhase * intervalMs;
  }

  /** @param flags the combined flags of all datagrams in the batch */
  handleBlock(nowMs: TimeMs, burst: number, flags: number): void {
    const { largestBurst } = this;
    if (largestBurst === undefined || burstsAhead(burst, largestBurst) > 0) {
      // A new burst shows that all earlier bursts were sent completely. Their missing datagrams are lost or
      // reordered.
      if (largestBurst !== undefined) this.handleEnd(nowMs, (burst - 1) & 0xffff);
      this.largestBurst = burst;
    }
    if (burst === this.largestBurst) this.largestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.handleEnd(nowMs, burst);
      this.want(nowMs);
    } else if (this.dueAtMs === Infinity) {
      // Schedules a report in case the datagram that ends the burst is lost.
      this.dueAtMs = this.nextTurnMs(nowMs + endOfBurstLostMs);
    }
  }

  /** Records that the sender has sent this burst completely. */
  handleEnd(nowMs: TimeMs, burst: number): void {
    const last = this.ending.at(-1)?.burst ?? this.cumulativeBurst;
    if (last !== undefined && burstsAhead(burst, last) <= 0) return;
    // All bursts between `last` and this burst have ended too. Their missing datagrams are lost or reordered.
    const endedCount = last === undefined ? 1 : burstsAhead(burst, last);
    for (let i = 0; i < Math.min(endedCount, rememberedBursts); i++) {
      this.endedAtMs[((burst - i) & 0xffff) % rememberedBursts] = nowMs;
    }
    this.ending.push({ burst, atMs: nowMs });
    // Forged bursts must not fill the memory.
    if (this.ending.length > mostEnding) this.cumulativeBurst = this.ending.shift()?.burst;
    this.advance(nowMs);
  }

  /**
   * Handles the arrival of a missing segment. If its burst has already ended, the segment was reordered.
   * Reports then wait longer before they count such segments as lost.
   */
  handleTaken(nowMs: TimeMs, burst: number): void {
    const last = this.ending.at(-1)?.burst ?? this.cumulativeBurst;
    if (last === undefined) return;
    const age = burstsAhead(last, burst);
    if (age < 0 || age >= rememberedBursts) return;
    const endedAtMs = this.endedAtMs[burst % rememberedBursts] as number;
    if (endedAtMs === 0) return;
    const lateMs = Math.min((nowMs - endedAtMs) * reorderMargin, maxReorderMs);
    this.reorderMs = Math.max(this.reorderMs, lateMs);
  }

  isCovered(burst: number): boolean {
    return this.cumulativeBurst !== undefined && burstsAhead(this.cumulativeBurst, burst) >= 0;
  }

  /** Time since the last datagram of `largestBurst` arrived; 0 before the first burst. */
  ackDelayMs(nowMs: TimeMs): number {
    return this.largestBurst === undefined ? 0 : nowMs - this.largestAtMs;
  }

  /** Schedules a report for this receiver's next turn. */
  want(nowMs: TimeMs): void {
    this.dueAtMs = Math.min(this.dueAtMs, this.nextTurnMs(nowMs + this.reorderMs));
  }

  /** Sets the minimum time between reports, so that reports do not overload a slow return path. */
  keepApart(gapMs: number): void {
    this.gapMs = Math.min(gapMs, maxGapMs);
  }

  /** Shares the interval between reports with the other paths of this receiver. @param pathCount with this one */
  shareInterval(pathCount: number): void {
    this.pathCount = pathCount;
  }

  /** Records that a report is about to be sent. */
  handleReport(nowMs: TimeMs): void {
    this.reportedAtMs = nowMs;
    this.dueAtMs = Infinity;
    this.advance(nowMs);
    // A further report must cover the bursts that still wait for reordered datagrams.
    if (this.ending.length > 0) this.want(nowMs);
    this.reorderMs *= reorderDecay;
    if (this.reorderMs < minReorderMs) this.reorderMs = 0;
  }

  /**
   * Forgets all burst numbers, because some of them may have been forged. Burst numbers that arrive from now
   * on are authenticated.
   */
  reset(): void {
    this.cumulativeBurst = undefined;
    this.largestBurst = undefined;
    this.ending.length = 0;
    this.endedAtMs.fill(0);
    this.reorderMs = 0;
  }

  /** Stops reporting. */
  stop(): void {
    this.dueAtMs = Infinity;
  }

  /**
   * The earliest time, not before `fromMs`, at which this receiver may report. Multicast data reaches all
   * receivers at once. If there are many receivers, each one therefore waits for its own turn.
   */
  private nextTurnMs(fromMs: TimeMs): TimeMs {
    const { turnAtMs } = this;
    const intervalMs = this.intervalMs * this.pathCount;
    if (intervalMs < turnsFromIntervalMs) {
      return Math.max(fromMs, this.reportedAtMs + Math.max(intervalMs, this.gapMs));
    }
    // At most one report per turn.
    const turn = Math.max(
      Math.ceil((fromMs - turnAtMs) / intervalMs),
      Math.floor((this.reportedAtMs - turnAtMs) / intervalMs + turnMargin) + 1,
    );
    return Math.max(fromMs, turnAtMs + turn * intervalMs, this.reportedAtMs + this.gapMs);
  }

  private advance(nowMs: TimeMs): void {
    while (this.ending.length > 0) {
      const { burst, atMs } = this.ending[0] as { burst: number; atMs: TimeMs };
      if (nowMs < atMs + this.reorderMs) return;
      this.ending.shift();
      this.cumulativeBurst = burst;
    }
  }
}

/** Rounding tolerance. A report that is sent exactly at a turn must count as the report of that turn. */
const turnMargin = 1e-3;

/** Safety factor applied to each observed reordering delay. */
const reorderMargin = 1.25;

/**
 * Each report multiplies `reorderMs` by this factor. Below `minReorderMs`, the path counts as free of
 * reordering.
 */
const reorderDecay = 0.99;
const minReorderMs = 0.1;
