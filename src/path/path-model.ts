/**
 * What is known of the path to one receiver, from its reports: how fast it delivers, how long it is, and
 * how much it loses by chance (after BBR: Cardwell et al. 2016). Counts are datagrams.
 */
import type { TimeMs } from '../base/machine.js';
import { WindowedExtreme } from './windowed-extreme.js';

export interface PathSample {
  readonly nowMs: TimeMs;
  /** When the latest datagram came there, but for the time of the way back. */
  readonly arrivedAtMs: TimeMs;
  /** When the burst left that it was of. */
  readonly sentAtMs: TimeMs;
  /** When the first datagram left for there. */
  readonly beganAtMs: TimeMs;
  /** What had been sent there by the end of that burst, and by the end of the last that is over. */
  readonly sentUpToLargest: number;
  readonly sentUpToCumulative: number;
  /** What had been sent there by now. */
  readonly sent: number;
  readonly received: number;
  /** Until when the sender itself had less to send than it might. */
  readonly appLimitedUntilMs: TimeMs;
  /** Since when so little is sent that no queue can last; and whether it is feared that one grows. */
  readonly belowLimitSinceMs: TimeMs;
  /** Since when a pace is kept; Infinity while none is. */
  readonly pacedSinceMs: TimeMs;
  readonly isGrowing: boolean;
}

interface Point {
  readonly arrivedAtMs: TimeMs;
  readonly sentAtMs: TimeMs;
  readonly sent: number;
  readonly received: number;
}

interface LossPoint {
  readonly sent: number;
  readonly received: number;
  /** By how much `sent` may be wrong, either way. */
  readonly doubt: number;
  readonly roundEnd: number;
  readonly begunAtMs: TimeMs;
}

/** Deliveries are measured over a round trip, and at least this long: hosts read in bunches. */
export const minSpanMs = 5;

/** The round trip without a queue, and the loss that is there by chance, hold for this long. */
export const memoryMs = 20_000;

/** Loss is told from so many datagrams at least, and from so many times as many as are in doubt. */
const lossSample = 100;
const exactness = 50;
const belowLimitExactness = 10;

/** More is not repaired by sending more. */
const maxBaselineLoss = 0.5;

/** What is lost by chance is known from so long. */
const lossMemoryMs = 4000;

/** Loss above what is there by chance, at which the path is full; and as a share of that. */
const excessLoss = 0.02;
const excessShare = 0.3;

/**
 * On a short path hosts are what takes time, and the round trip tells nothing. Sent at a pace, only what no
 * radio loses shows that a queue is full; without one, what is lost beyond what was lost at a pace does.
 */
const shortPathMs = 2;
const pacedLossLimit = 0.35;
const unpacedExcess = 0.03;

/** Of what is lost at a pace, the last so many datagrams tell. */
const pacedLossMemory = 2000;

export class PathModel {
  /** Round trips that were seen to their end. */
  rounds = 0;
  /** Send time of the latest burst of which a report tells. */
  echoedSentAtMs: TimeMs = -Infinity;
  /** Of the last measurement: the share that was lost, and whether more than by chance. */
  lossRatio = 0;
  /** When it was last seen that more was lost than by chance, and of what was sent since when. */
  congestedAtMs: TimeMs = -Infinity;
  congestedFromMs: TimeMs = -Infinity;
  /** When the in-flight limit held it back. */
  fullAtMs: TimeMs = -Infinity;
  /** The least time between reports on a slow return path, else 0. */
  reportGapMs = 0;

  private readonly points: Point[] = [];
  private hasCounted = false;
  private roundTarget = 0;
  /** What came there lately, in datagrams per millisecond. */
  latestRate = 0;
  private currentBest = 0;
  private earlierBest = 0;
  /** Whether the path itself has limited what came since the last look back. */
  private isTested = false;
  private readonly rtt = new WindowedExtreme('least', memoryMs);
  private readonly baseline = new WindowedExtreme('least', lossMemoryMs);
  /** From about how many datagrams that is known. */
  private baselineCount = 0;
  /** The share that was lost while a pace was kept; and of how many datagrams. */
  private pacedLoss = 0;
  private pacedCount = 0;
  /** When it was last measured what is lost by chance. */
  baselineAtMs: TimeMs = -Infinity;
  /** Where the current measurement began, and what had been sent by then. */
  private lossPoint: LossPoint | undefined;
  private latestRttMs = 0;
  /** When the round trip was last about as short as it can be. */
  minRttSeenAtMs: TimeMs = -Infinity;

  /** Datagrams per millisecond that came there at best; 0 before the first report. */
  get deliveryRate(): number {
    return Math.max(this.currentBest, this.earlierBest);
  }

  /** What the path takes, lost by chance or not. */
  get capacity(): number {
    return this.deliveryRate / (1 - this.baselineLoss);
  }

  get minRttMs(): number {
    return this.rtt.value ?? Infinity;
  }

  get rttMs(): number {
    return this.latestRttMs;
  }

  get baselineLoss(): number {
    return Math.min(maxBaselineLoss, this.baseline.value ?? 0);
  }

  /** Something of the opening was answered: hosts think about that, so it is the longest that it can be. */
  takeHandshakeRtt(nowMs: TimeMs, rttMs: number): void {
    this.rtt.add(nowMs, rttMs);
  }

  take(sample: PathSample): void {
    const { nowMs, sentAtMs } = sample;
    if (sentAtMs >= this.echoedSentAtMs) {
      this.echoedSentAtMs = sentAtMs;
      this.takeRtt(nowMs, Math.max(0, sample.arrivedAtMs - sentAtMs));
    }
    this.takeLoss(sample);
    this.takeDelivery(sample);
    if (sample.sentUpToLargest < this.roundTarget) return;
    this.rounds++;
    this.roundTarget = sample.sent + 1;
  }

  /** The bandwidth is that of this cycle of probing and of the last one. */
  endCycle(): void {
    // What the path did not limit says nothing against what it took before.
    if (!this.isTested) return;
    this.isTested = false;
    this.earlierBest = this.currentBest;
    this.currentBest = 0;
  }

  /** What was counted before does not go with what comes. */
  restart(): void {
    this.points.length = 0;
    this.lossPoint = undefined;
  }

  private takeRtt(nowMs: TimeMs, rttMs: number): void {
    this.latestRttMs = rttMs;
    this.rtt.add(nowMs, rttMs);
    if (rttMs <= nearMin * this.minRttMs + minRttNoiseMs) this.minRttSeenAtMs = nowMs;
  }

  private takeDelivery(sample: PathSample): void {
    const { arrivedAtMs, sentAtMs, received, sentUpToLargest: sent } = sample;
    const { points } = this;
    // The first report measures from the moment of sending: too little, but something.
    const { beganAtMs } = sample;
    if (!this.hasCounted) {
      points.push({ arrivedAtMs: beganAtMs, sentAtMs: beganAtMs, sent: 0, received: 0 });
    }
    this.hasCounted = true;
    const last = points.at(-1);
    if (last === undefined) {
      points.push({ arrivedAtMs, sentAtMs, sent, received });
      return;
    }
    if (arrivedAtMs <= last.arrivedAtMs || received <= last.received) return;
    const spanMs = Math.max(this.minRttMs, minSpanMs);
    while (points.length > 1 && (points[1] as Point).arrivedAtMs <= arrivedAtMs - spanMs) {
      points.shift();
    }
    const base = points[0] as Point;
    points.push({ arrivedAtMs, sentAtMs, sent, received });
    const sendingMs = sentAtMs - base.sentAtMs;
    const rate = (received - base.received) / Math.max(arrivedAtMs - base.arrivedAtMs, sendingMs);
    // Of a burst that is not over, some is still on its way.
    const expected = this.leastExpected(sample.sentUpToCumulative - base.sent);
    const hasQueue = arrivedAtMs - sentAtMs > nearMin * this.minRttMs + nearMinMs;
    const isLimited =
      sample.appLimitedUntilMs >= base.sentAtMs ||
      (!hasQueue && received - base.received >= expected && this.fullAtMs < base.sentAtMs);
    this.latestRate = rate;
    this.currentBest = Math.max(this.currentBest, rate);
    if (!isLimited) this.isTested = true;
  }

  /** Of so many datagrams, as many came as chance lets through, or nearly. */
  private leastExpected(count: number): number {
    const { baselineLoss } = this;
    const spread = Math.sqrt(Math.max(0, count) * baselineLoss * (1 - baselineLoss));
    return asSent * count * (1 - baselineLoss) - 2 * spread;
  }

  /**
   * Told once a round trip. Where a report comes within a burst, how much of it had left by then lies in
   * between.
   */
  private takeLoss(sample: PathSample): void {
    const { sentUpToLargest, sentUpToCumulative, received, nowMs, sentAtMs } = sample;
    const doubt = (sentUpToLargest - sentUpToCumulative) / 2;
    const sent = sentUpToLargest - doubt;
    const point = { sent, received, doubt, roundEnd: sample.sent, begunAtMs: sentAtMs };
    const base = this.lossPoint;
    if (base === undefined) {
      this.lossPoint = point;
      return;
    }
    const count = sent - base.sent;
    // What is gentle and what is not are measured apart.
    const isTurn =
      sentAtMs >= sample.belowLimitSinceMs && base.begunAtMs < sample.belowLimitSinceMs;
    const isBelowLimit = base.begunAtMs >= sample.belowLimitSinceMs;
    const doubts = base.doubt + doubt;
    const enough = Math.max(lossSample, (isBelowLimit ? belowLimitExactness : exactness) * doubts);
    if (!isTurn && (sent < base.roundEnd || count < enough)) return;
    this.lossPoint = point;
    if (count < Math.max(lossSample, belowLimitExactness * doubts)) return;
    this.lossRatio = Math.min(1, Math.max(0, 1 - (received - base.received) / count));
    if (isBelowLimit && (!sample.isGrowing || this.hasNoQueue(sample)))
      this.takeBaseline(nowMs, count);
    const isUnpaced = base.begunAtMs < sample.pacedSinceMs;
    if (!isUnpaced) this.takePacedLoss(count);
    const most = this.isShort
      ? this.mostOnShortPath(count, isUnpaced)
      : this.mostAtRandom(count, doubts);
    if (this.lossRatio <= most) return;
    this.congestedAtMs = nowMs;
    this.congestedFromMs = base.begunAtMs;
  }

  /** Within one network: hosts are what takes time there, and a queue is too short to be told by. */
  get isShort(): boolean {
    return this.minRttMs > 0 && this.minRttMs < shortPathMs;
  }

  private mostOnShortPath(count: number, isUnpaced: boolean): number {
    if (!isUnpaced) return pacedLossLimit;
    const { pacedLoss, pacedCount } = this;
    const variance = Math.max(pacedLoss, excessLoss) * (1 - pacedLoss);
    const spread = Math.sqrt(variance / count + variance / Math.max(1, pacedCount));
    return pacedLoss + unpacedExcess + spreads * spread;
  }

  private takePacedLoss(count: number): void {
    this.pacedCount = Math.min(pacedLossMemory, this.pacedCount + count);
    this.pacedLoss += (count / this.pacedCount) * (this.lossRatio - this.pacedLoss);
  }

  /** The largest share of so many datagrams that chance alone may take. */
  private mostAtRandom(count: number, doubts: number): number {
    const { baselineLoss } = this;
    // Both are measured, and neither exactly.
    const variance = Math.max(baselineLoss, excessLoss) * (1 - baselineLoss);
    const baselineVariance = (baselineLoss * (1 - baselineLoss)) / Math.max(1, this.baselineCount);
    const spread = Math.sqrt(variance / count + baselineVariance + (doubts / count) ** 2 / 6);
    return baselineLoss + Math.max(excessLoss, baselineLoss * excessShare) + spreads * spread;
  }

  /**
   * What is always lost while little is sent is lost by chance: others on the path cost something only now
   * and then. The least of several measurements is too low by what chance makes of them.
   */
  private takeBaseline(nowMs: TimeMs, count: number): void {
    const { lossRatio } = this;
    this.baseline.add(nowMs, lossRatio + Math.sqrt((lossRatio * (1 - lossRatio)) / count));
    this.baselineCount = count;
    this.baselineAtMs = nowMs;
  }

  /** Whether no queue stands: what is lost in one may be lost for its sake. */
  private hasNoQueue({ arrivedAtMs, sentAtMs }: PathSample): boolean {
    const isEarly = this.rounds <= earlyRounds;
    return isEarly && arrivedAtMs - sentAtMs <= nearMin * this.minRttMs + nearMinMs;
  }
}

/** In the first round trips too little is under way to fill a queue. */
const earlyRounds = 3;

/** Chance alone gives this many standard deviations only once in thousands of times. */
const spreads = 4;

/** Deliveries that keep up with sending this well were limited by it. */
const asSent = 0.95;

/** A round trip within this of the shortest shows that the shortest still holds. */
const nearMin = 1.05;
const minRttNoiseMs = 0.5;
const nearMinMs = 4;
