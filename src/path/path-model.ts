/**
 * A model of the path to one receiver, built from its reports: delivery rate, round-trip time, and random
 * loss (after BBR: Cardwell et al. 2016). Counts are datagrams.
 */
import type { TimeMs } from '../base/machine.js';
import { WindowedExtreme } from './windowed-extreme.js';

export interface PathSample {
  readonly nowMs: TimeMs;
  /**
   * Arrival time of the newest datagram, plus the time that a report takes to return if it meets no queue; on
   * the sender's clock.
   */
  readonly arrivedAtMs: TimeMs;
  /** Time at which the burst of the newest datagram was sent. */
  readonly sentAtMs: TimeMs;
  /** Time at which the first datagram to this receiver was sent. */
  readonly beganAtMs: TimeMs;
  /**
   * Number of datagrams sent up to the end of the report's `largestBurst`, and up to the end of its
   * `cumulativeBurst`.
   */
  readonly sentUpToLargest: number;
  readonly sentUpToCumulative: number;
  /** Number of all datagrams sent so far. */
  readonly sent: number;
  readonly received: number;
}

/** How the congestion controller is sending. It says what a sample can be evidence of. */
export interface SendingState {
  /** Time until which the sender was app-limited: it had less to send than the limits allowed. */
  readonly appLimitedUntilMs: TimeMs;
  /**
   * Time since which the sender has been in startup, or has sent so slowly that no queue persists; Infinity
   * at other times.
   */
  readonly belowLimitSinceMs: TimeMs;
  /** Time at which the current period of paced sending began; Infinity while sending is unpaced. */
  readonly pacedSinceMs: TimeMs;
  /** Whether the sender is in startup, in which a queue might be growing. */
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
  /** Maximum error of `sent`, in either direction. */
  readonly doubt: number;
  readonly roundEnd: number;
  readonly begunAtMs: TimeMs;
}

/**
 * Minimum time over which the delivery rate is measured. A round trip can be too short for that, because
 * hosts read many datagrams at once.
 */
export const minSpanMs = 5;

/** Time for which a minimum round-trip time stays valid. */
export const memoryMs = 20_000;

/** Minimum number of datagrams over which loss is measured. */
const lossSample = 100;
/** Minimum ratio of the number of datagrams in a loss measurement to the uncertainty of that number. */
const exactness = 50;
/** The same minimum for a measurement that ends after `belowLimitSinceMs`. */
const belowLimitExactness = 10;

/** Maximum baseline loss for which the sender compensates by sending faster. */
const maxBaselineLoss = 0.5;

/** The window over which baseline loss is measured. */
const lossMemoryMs = 4000;

/**
 * Loss counts as congestion if it exceeds the baseline by more than `excessLoss` and by more than the share
 * `excessShare` of the baseline.
 */
const excessLoss = 0.02;
const excessShare = 0.3;

/**
 * On a path with a round trip below `shortPathMs`, the hosts dominate the round-trip time. It therefore says
 * nothing about queues. While sending is paced, only a loss ratio above `pacedLossLimit` counts as
 * congestion; no radio link loses so much. While sending is unpaced, the limit is the loss measured during
 * paced sending, plus `unpacedExcess` and a margin for random variation.
 */
const shortPathMs = 2;
const pacedLossLimit = 0.35;
const unpacedExcess = 0.03;

/** The loss during paced sending is averaged over about this many datagrams. */
const pacedLossMemory = 2000;

export class PathModel {
  /** Number of completed round trips. */
  rounds = 0;
  /** Send time of the newest burst that a report covers. */
  echoedSentAtMs: TimeMs = -Infinity;
  /** The loss ratio of the last measurement, 0..1. */
  lossRatio = 0;
  /** Time at which congestion was last detected. */
  congestedAtMs: TimeMs = -Infinity;
  /** The measurement that detected the congestion covers only data sent after this time. */
  congestedFromMs: TimeMs = -Infinity;
  /** Time at which the in-flight limit last blocked sending. */
  private fullAtMs: TimeMs = -Infinity;

  private readonly points: Point[] = [];
  private hasCounted = false;
  private roundTarget = 0;
  /** The latest delivery rate, in datagrams per millisecond. */
  latestRate = 0;
  private currentBest = 0;
  private earlierBest = 0;
  /** Whether the path, rather than the sender, limited delivery in this probing cycle. */
  private isTested = false;
  private readonly rtt = new WindowedExtreme('least', memoryMs);
  private readonly baseline = new WindowedExtreme('least', lossMemoryMs);
  /** The approximate number of datagrams over which the baseline was measured. */
  private baselineCount = 0;
  /** The loss ratio while sending is paced, and the number of datagrams over which it was measured. */
  private pacedLoss = 0;
  private pacedCount = 0;
  /** Time at which baseline loss was last measured. */
  baselineAtMs: TimeMs = -Infinity;
  /** The point at which the current loss measurement began. */
  private lossPoint: LossPoint | undefined;
  private latestRttMs = 0;
  /** Time at which the round-trip time was last close to its minimum. */
  minRttSeenAtMs: TimeMs = -Infinity;

  /** The best delivery rate of recent cycles, in datagrams per millisecond; 0 before the first report. */
  get deliveryRate(): number {
    return Math.max(this.currentBest, this.earlierBest);
  }

  /**
   * The rate at which the path accepts datagrams, including those lost at random, in datagrams per
   * millisecond.
   */
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

  /**
   * Takes the round-trip time of the handshake. This time is an upper bound, because it includes processing
   * time.
   */
  takeHandshakeRtt(nowMs: TimeMs, rttMs: number): void {
    this.rtt.add(nowMs, rttMs);
  }

  /** The in-flight limit blocks sending. */
  handleFull(nowMs: TimeMs): void {
    this.fullAtMs = nowMs;
  }

  take(sample: PathSample, sending: SendingState): void {
    const { nowMs, sentAtMs } = sample;
    if (sentAtMs >= this.echoedSentAtMs) {
      this.echoedSentAtMs = sentAtMs;
      this.takeRtt(nowMs, Math.max(0, sample.arrivedAtMs - sentAtMs));
    }
    this.takeLoss(sample, sending);
    this.takeDelivery(sample, sending.appLimitedUntilMs);
    if (sample.sentUpToLargest < this.roundTarget) return;
    this.rounds++;
    this.roundTarget = sample.sent + 1;
  }

  /** Ends a probing cycle. The delivery rate is the best of the current and the previous cycle. */
  endCycle(): void {
    // If the path did not limit this cycle, its low rate does not disprove an earlier, higher rate.
    if (!this.isTested) return;
    this.isTested = false;
    this.earlierBest = this.currentBest;
    this.currentBest = 0;
  }

  /** Discards the measurement points. Call it when the counters restart from zero. */
  restart(): void {
    this.points.length = 0;
    this.lossPoint = undefined;
  }

  private takeRtt(nowMs: TimeMs, rttMs: number): void {
    this.latestRttMs = rttMs;
    this.rtt.add(nowMs, rttMs);
    if (rttMs <= nearMin * this.minRttMs + minRttNoiseMs) this.minRttSeenAtMs = nowMs;
  }

  private takeDelivery(sample: PathSample, appLimitedUntilMs: TimeMs): void {
    const { arrivedAtMs, sentAtMs, received, sentUpToLargest: sent } = sample;
    const { points } = this;
    // The first rate is measured from the start of sending, so it is too low but usable.
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
    // Datagrams of a burst that has not ended might still be in flight, so they are not expected yet.
    const expected = this.leastExpected(sample.sentUpToCumulative - base.sent);
    const hasQueue = arrivedAtMs - sentAtMs > nearMin * this.minRttMs + nearMinMs;
    const isLimited =
      appLimitedUntilMs >= base.sentAtMs ||
      (!hasQueue && received - base.received >= expected && this.fullAtMs < base.sentAtMs);
    this.latestRate = rate;
    this.currentBest = Math.max(this.currentBest, rate);
    if (!isLimited) this.isTested = true;
  }

  /** Minimum number of datagrams expected to arrive if `count` are sent, given baseline loss and a margin. */
  private leastExpected(count: number): number {
    const { baselineLoss } = this;
    const spread = Math.sqrt(Math.max(0, count) * baselineLoss * (1 - baselineLoss));
    return asSent * count * (1 - baselineLoss) - 2 * spread;
  }

  /**
   * Measures loss once per round trip. If a report was sent in the middle of a burst, the number of datagrams
   * that it covers is uncertain: this number lies between `sentUpToCumulative` and `sentUpToLargest`.
   */
  private takeLoss(sample: PathSample, sending: SendingState): void {
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
    // Loss before and after `belowLimitSinceMs` is measured separately, so this measurement can end early.
    const isTurn =
      sentAtMs >= sending.belowLimitSinceMs && base.begunAtMs < sending.belowLimitSinceMs;
    const isBelowLimit = base.begunAtMs >= sending.belowLimitSinceMs;
    const doubts = base.doubt + doubt;
    const enough = Math.max(lossSample, (isBelowLimit ? belowLimitExactness : exactness) * doubts);
    if (!isTurn && (sent < base.roundEnd || count < enough)) return;
    this.lossPoint = point;
    if (count < Math.max(lossSample, belowLimitExactness * doubts)) return;
    this.lossRatio = Math.min(1, Math.max(0, 1 - (received - base.received) / count));
    if (isBelowLimit && (!sending.isGrowing || this.hasNoQueue(sample)))
      this.takeBaseline(nowMs, count);
    const isUnpaced = base.begunAtMs < sending.pacedSinceMs;
    if (!isUnpaced) this.takePacedLoss(count);
    const most = this.isShort
      ? this.mostOnShortPath(count, isUnpaced)
      : this.mostAtRandom(count, doubts);
    if (this.lossRatio <= most) return;
    this.congestedAtMs = nowMs;
    this.congestedFromMs = base.begunAtMs;
  }

  /** Whether the path lies within one local network, where queues are too short to measure. */
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

  /** The largest loss ratio that random loss alone can explain in a measurement of `count` datagrams. */
  private mostAtRandom(count: number, doubts: number): number {
    const { baselineLoss } = this;
    // Both the loss ratio and the baseline are measurements with a variance.
    const variance = Math.max(baselineLoss, excessLoss) * (1 - baselineLoss);
    const baselineVariance = (baselineLoss * (1 - baselineLoss)) / Math.max(1, this.baselineCount);
    const spread = Math.sqrt(variance / count + baselineVariance + (doubts / count) ** 2 / 6);
    return baselineLoss + Math.max(excessLoss, baselineLoss * excessShare) + spreads * spread;
  }

  /**
   * Records a measurement of baseline loss. Loss that persists while sending below the path's capacity is
   * random, because competing traffic causes loss only at times. The minimum of several measurements is
   * biased low, so a standard deviation is added to each.
   */
  private takeBaseline(nowMs: TimeMs, count: number): void {
    const { lossRatio } = this;
    this.baseline.add(nowMs, lossRatio + Math.sqrt((lossRatio * (1 - lossRatio)) / count));
    this.baselineCount = count;
    this.baselineAtMs = nowMs;
  }

  /** Whether the path has no standing queue that could cause loss. */
  private hasNoQueue({ arrivedAtMs, sentAtMs }: PathSample): boolean {
    const isEarly = this.rounds <= earlyRounds;
    return isEarly && arrivedAtMs - sentAtMs <= nearMin * this.minRttMs + nearMinMs;
  }
}

/** In the first round trips, too little is in flight to fill a queue. */
const earlyRounds = 3;

/**
 * Random loss exceeds its mean by this many standard deviations in less than one of a thousand measurements.
 */
const spreads = 4;

/** If at least this share of the expected datagrams arrived, the sender, not the path, limited the rate. */
const asSent = 0.95;

/** A round-trip time of at most `nearMin` times the minimum plus `minRttNoiseMs` confirms the minimum. */
const nearMin = 1.05;
const minRttNoiseMs = 0.5;
const nearMinMs = 4;
