/** Decides when a receiver's next report is due, and which bursts it may acknowledge (SESSIONS 5.4). */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead, dataFlag } from '../wire/header.js';

/** How long after the last datagram a report is due if the end of the burst was lost. */
const endOfBurstLostMs = 4;

/** The longest time that a report waits for reordered datagrams. */
const maxReorderMs = 500;

/** Below this interval there are so few receivers that all may answer at once. */
const turnsFromIntervalMs = 10;

/** The largest gap a sender may ask for: without reports nothing moves. */
const maxGapMs = 1000;

/** How many bursts' end times are remembered. */
const rememberedBursts = 256;

/** The most bursts that wait for reordered datagrams: a fast path has some thousands in that time. */
const mostEnding = 4096;

export class FeedbackScheduler {
  /** Everything up to this burst has arrived or is lost; undefined before the first. */
  cumulativeBurst: number | undefined;
  /** The highest burst of which anything has arrived. */
  largestBurst: number | undefined;
  dueAtMs: TimeMs = Infinity;
  private largestAtMs: TimeMs = 0;
  private reportedAtMs: TimeMs;
  /** The time of one turn of this receiver; the others are whole intervals before and after. */
  private readonly turnAtMs: TimeMs;
  /** Bursts that have ended but may still have reordered datagrams in flight, oldest first. */
  private readonly ending: { readonly burst: number; readonly atMs: TimeMs }[] = [];
  private gapMs = 0;
  /** How late after the end of its burst a datagram may arrive, as observed so far. */
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
      // Everything sent earlier has arrived, is lost, or was reordered.
      if (largestBurst !== undefined) this.handleEnd(nowMs, (burst - 1) & 0xffff);
      this.largestBurst = burst;
    }
    if (burst === this.largestBurst) this.largestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.handleEnd(nowMs, burst);
      this.want(nowMs);
    } else if (this.dueAtMs === Infinity) {
      // The datagram that ends the burst may be lost.
      this.dueAtMs = this.nextTurnMs(nowMs + endOfBurstLostMs);
    }
  }

  /** A burst has been sent completely. */
  handleEnd(nowMs: TimeMs, burst: number): void {
    const last = this.ending.at(-1)?.burst ?? this.cumulativeBurst;
    if (last !== undefined && burstsAhead(burst, last) <= 0) return;
    // The bursts in between were reordered or lost as a whole: they have ended too.
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
   * A missing segment arrived. If its burst had ended by then, it was reordered, and reports must wait longer
   * before they declare such datagrams lost.
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

  /** Sets the least time between reports, for a slow return path. */
  keepApart(gapMs: number): void {
    this.gapMs = Math.min(gapMs, maxGapMs);
  }

  /** A report is about to be sent. */
  handleReport(nowMs: TimeMs): void {
    this.reportedAtMs = nowMs;
    this.dueAtMs = Infinity;
    this.advance(nowMs);
    // Bursts that have not settled yet are reported as soon as they have.
    if (this.ending.length > 0) this.want(nowMs);
    this.reorderMs *= reorderDecay;
    if (this.reorderMs < minReorderMs) this.reorderMs = 0;
  }

  /** Forgets all burst numbers, which may have been forged; from now on they are authenticated. */
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
   * Multicast data reaches all receivers at once. If there are many, each one answers in its own turn instead of
   * immediately.
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

/** Rounding tolerance: a report at its turn counts as the report of that turn. */
const turnMargin = 1e-3;

/** The margin over the largest delay observed. */
const reorderMargin = 1.25;

/** The delay decays with each report; below the minimum, the path counts as free of reordering. */
const reorderDecay = 0.99;
const minReorderMs = 0.1;
