/** When a receiver's next report is due, and what it may say of the sender's bursts (SESSIONS 5.4). */
import type { TimeMs } from '../base/machine.js';
import { burstsAhead, dataFlag } from '../wire/header.js';

/** How long after the last datagram a report is due that no end of a burst asked for. */
const endOfBurstLostMs = 4;

/** The longest that a report waits for datagrams that were overtaken. */
const maxReorderMs = 500;

/** Below this interval the receivers are so few that they may answer at once. */
const turnsFromIntervalMs = 10;

/** A sender that asks for a larger gap gets this one: without reports nothing moves. */
const maxGapMs = 1000;

/** Bursts whose ends are remembered. */
const rememberedBursts = 256;

/** Bursts that wait for what was overtaken, at most: a fast path has some thousands in that time. */
const mostEnding = 4096;

export class FeedbackScheduler {
  /** Everything up to this burst has come, or is lost; undefined before the first. */
  cumulativeBurst: number | undefined;
  /** The highest burst of which anything has come. */
  largestBurst: number | undefined;
  dueAtMs: TimeMs = Infinity;
  private largestAtMs: TimeMs = 0;
  private reportedAtMs: TimeMs;
  /** One of this receiver's turns; the others are whole intervals before and after. */
  private readonly turnAtMs: TimeMs;
  /** Bursts that are over as soon as nothing that was overtaken can come any more, oldest first. */
  private readonly ending: { readonly burst: number; readonly atMs: TimeMs }[] = [];
  private gapMs = 0;
  /** How much later than the end of its burst a datagram may come, by what has been seen. */
  private reorderMs = 0;
  private readonly endedAtMs = new Float64Array(rememberedBursts);

  /** @param chance 0..1: where in the interval this receiver has its turn is left to chance */
  constructor(
    nowMs: TimeMs,
    private readonly intervalMs: number,
    randomPhase: number,
  ) {
    this.reportedAtMs = nowMs - intervalMs;
    this.turnAtMs = nowMs - randomPhase * intervalMs;
  }

  /** @param flags of all the datagrams that came together */
  handleBlock(nowMs: TimeMs, burst: number, flags: number): void {
    const { largestBurst } = this;
    if (largestBurst === undefined || burstsAhead(burst, largestBurst) > 0) {
      // What was sent before it has come, or is lost, or was overtaken.
      if (largestBurst !== undefined) this.handleEnd(nowMs, (burst - 1) & 0xffff);
      this.largestBurst = burst;
    }
    if (burst === this.largestBurst) this.largestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.handleEnd(nowMs, burst);
      this.want(nowMs);
    } else if (this.dueAtMs === Infinity) {
      // The end of the burst may be lost.
      this.dueAtMs = this.nextTurnMs(nowMs + endOfBurstLostMs);
    }
  }

  /** A burst was sent to its end. */
  handleEnd(nowMs: TimeMs, burst: number): void {
    const last = this.ending.at(-1)?.burst ?? this.cumulativeBurst;
    if (last !== undefined && burstsAhead(burst, last) <= 0) return;
    // Those in between were overtaken as a whole: for them it is over as well.
    const endedCount = last === undefined ? 1 : burstsAhead(burst, last);
    for (let i = 0; i < Math.min(endedCount, rememberedBursts); i++) {
      this.endedAtMs[((burst - i) & 0xffff) % rememberedBursts] = nowMs;
    }
    this.ending.push({ burst, atMs: nowMs });
    // Whoever makes bursts up does not fill the memory with them.
    if (this.ending.length > mostEnding) this.cumulativeBurst = this.ending.shift()?.burst;
    this.advance(nowMs);
  }

  /**
   * Something came that was lacking: if its burst was over by then, it was overtaken, and reports must
   * wait longer before they call such datagrams lost.
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

  /** For how long the latest burst has been here. */
  ackDelayMs(nowMs: TimeMs): number {
    return this.largestBurst === undefined ? 0 : nowMs - this.largestAtMs;
  }

  /** A report goes out as soon as this receiver's turn comes. */
  want(nowMs: TimeMs): void {
    this.dueAtMs = Math.min(this.dueAtMs, this.nextTurnMs(nowMs + this.reorderMs));
  }

  /** The return path is slow: at least this much time passes between reports. */
  keepApart(gapMs: number): void {
    this.gapMs = Math.min(gapMs, maxGapMs);
  }

  /** A report is about to go out. */
  handleReport(nowMs: TimeMs): void {
    this.reportedAtMs = nowMs;
    this.dueAtMs = Infinity;
    this.advance(nowMs);
    // What is not over yet is told of as soon as it is.
    if (this.ending.length > 0) this.want(nowMs);
    this.reorderMs *= reorderDecay;
    if (this.reorderMs < minReorderMs) this.reorderMs = 0;
  }

  /** What was heard of bursts may be made up: from now on it is not. */
  reset(): void {
    this.cumulativeBurst = undefined;
    this.largestBurst = undefined;
    this.ending.length = 0;
    this.endedAtMs.fill(0);
    this.reorderMs = 0;
  }

  /** Nothing is to be reported any more. */
  stop(): void {
    this.dueAtMs = Infinity;
  }

  /**
   * What all wait for comes to all at once, so that many receivers must not answer as soon as they may,
   * but each at its own time.
   */
  private nextTurnMs(fromMs: TimeMs): TimeMs {
    const { intervalMs, turnAtMs } = this;
    if (intervalMs < turnsFromIntervalMs) {
      return Math.max(fromMs, this.reportedAtMs + Math.max(intervalMs, this.gapMs));
    }
    // One report for each turn, however often one is wanted at that moment.
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

/** What rounding may cost: a report at its turn is a report of that turn. */
const turnMargin = 1e-3;

/** Over the latest that was seen. */
const reorderMargin = 1.25;

/** With each report in which nothing came late; below the least of them there is no reordering. */
const reorderDecay = 0.99;
const minReorderMs = 0.1;
