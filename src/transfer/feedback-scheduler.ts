/** Decides when a receiver's next report is due, and which bursts it may acknowledge (SESSIONS 5.4). */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead, dataFlag } from '../wire/header.js';

/** If the end of a burst is lost, a report is due this long after the first datagram since the last report. */
const endOfBurstLostMs = 4;

/** The longest time that a report waits for reordered datagrams. */
const maxReorderMs = 500;

/** A shorter report interval means so few receivers that all may answer at once. */
const turnsFromIntervalMs = 10;

/** The largest gap between reports that a sender may request. Without reports, the session makes no progress. */
const maxGapMs = 1000;

/** The number of bursts for which the end time is remembered. */
const rememberedBursts = 256;

/** The most bursts that wait for reordered datagrams. A fast path carries a few thousand in that time. */
const mostEnding = 4096;

export class FeedbackScheduler {
  /** All datagrams up to this burst have arrived or are lost. Undefined before the first burst. */
  cumulativeBurst: number | undefined;
  /** The highest burst of which anything has arrived. */
  largestBurst: number | undefined;
  dueAtMs: TimeMs = Infinity;
  private largestAtMs: TimeMs = 0;
  private reportedAtMs: TimeMs;
  /** The time of one turn of this receiver. Its other turns are whole intervals before or after it. */
  private readonly turnAtMs: TimeMs;
  /** Bursts that have ended but may still have reordered datagrams in flight, oldest first. */
  private readonly ending: { readonly burst: number; readonly atMs: TimeMs }[] = [];
  private gapMs = 0;
  /** How long after the end of its burst a datagram may still arrive, judged by the delays observed so far. */
  private reorderMs = 0;
  private readonly endedAtMs = new Float64Array(rememberedBursts);

  /** @param randomPhase 0..1: the position of this receiver's turn within the interval */
  constructor(
    nowMs: TimeMs,
    private readonly intervalMs: number,
    randomPhase: number,
  ) {
    this.reportedAtMs = nowMs - intervalMs;
    this.turnAtMs = nowMs - randomPhase * intervalMs;
  }

  /** @param flags the flags of all datagrams of the batch, combined */
  handleBlock(nowMs: TimeMs, burst: number, flags: number): void {
    const { largestBurst } = this;
    if (largestBurst === undefined || burstsAhead(burst, largestBurst) > 0) {
      // All earlier bursts were sent, so what has not arrived by now is lost or was reordered.
      if (largestBurst !== undefined) this.handleEnd(nowMs, (burst - 1) & 0xffff);
      this.largestBurst = burst;
    }
    if (burst === this.largestBurst) this.largestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.handleEnd(nowMs, burst);
      this.want(nowMs);
    } else if (this.dueAtMs === Infinity) {
      // The report must come even if the datagram that ends the burst is lost.
      this.dueAtMs = this.nextTurnMs(nowMs + endOfBurstLostMs);
    }
  }

  /** The sender has sent a burst completely. */
  handleEnd(nowMs: TimeMs, burst: number): void {
    const last = this.ending.at(-1)?.burst ?? this.cumulativeBurst;
    if (last !== undefined && burstsAhead(burst, last) <= 0) return;
    // The bursts in between have ended too. They were reordered or lost as a whole.
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
   * A missing segment arrived. If its burst had ended by then, the segment was reordered, and reports must wait longer
   * before they declare such segments lost.
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

  /** How long ago the last datagram of the largest burst arrived. */
  ackDelayMs(nowMs: TimeMs): number {
    return this.largestBurst === undefined ? 0 : nowMs - this.largestAtMs;
  }

  /** Requests a report at this receiver's next turn. */
  want(nowMs: TimeMs): void {
    this.dueAtMs = Math.min(this.dueAtMs, this.nextTurnMs(nowMs + this.reorderMs));
  }

  /** Sets the least time between reports, which spares a slow return path. */
  keepApart(gapMs: number): void {
    this.gapMs = Math.min(gapMs, maxGapMs);
  }

  /** A report is about to be sent. */
  handleReport(nowMs: TimeMs): void {
    this.reportedAtMs = nowMs;
    this.dueAtMs = Infinity;
    this.advance(nowMs);
    // Bursts that still wait for reordered datagrams need another report.
    if (this.ending.length > 0) this.want(nowMs);
    this.reorderMs *= reorderDecay;
    if (this.reorderMs < minReorderMs) this.reorderMs = 0;
  }

  /** Forgets all burst numbers, because they may have been forged. From now on, they are authenticated. */
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
   * When the receiver may report. Multicast data reaches all receivers at once, so if there are many receivers, each
   * one answers in its own turn instead of immediately.
   */
  private nextTurnMs(fromMs: TimeMs): TimeMs {
    const { intervalMs, turnAtMs } = this;
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

/** A tolerance for rounding, so that a report sent at the time of a turn counts as the report of that turn. */
const turnMargin = 1e-3;

/** The margin over the largest observed delay, as a factor. */
const reorderMargin = 1.25;

/** The delay decays by this factor with each report. Below the minimum, the path counts as free of reordering. */
const reorderDecay = 0.99;
const minReorderMs = 0.1;
