/**
 * How sessions that arrive at this host at the same time share what can arrive (SESSIONS 5.15). If several senders
 * overload the link to a receiver, none of them can find its share: what is lost depends on what the others send. Only
 * the receiver sees all of them. So it measures what arrives, and tells each sender how much it may send.
 */
import type { TimeMs } from '../../base/machine.js';
import { leastShareBytesPerSec } from '../../transfer/config.js';

/** Shares are set for several sessions with at least so many paths. Two paths find their shares themselves. */
const leastSessions = 2;
const leastPaths = 3;

/** This loss ratio in so many intervals in a row, or a high one in one, shows that the senders overload the link. */
const onsetLoss = 0.02;
const onsetIntervals = 2;
const highLoss = 0.1;
const onsetCount = 3;

/** While shares are set, this loss ratio in an interval shows that all shares together are too large. */
const mostLoss = 0.01;
const leastLostCount = 2;

/** In the beginning, and after loss, the shares are together this part of what has arrived. */
const firstPart = 0.95;
const reducedPart = 0.97;
/** If the senders send more than this part of their shares, the shares have not reached them yet. */
const obeyedPart = 1.25;
/** Loss reduces the shares at most to this part at once, even if little has arrived. */
const leastReduction = 0.8;

/** Number of intervals that show little of the new shares. In the beginning, repairs and timeouts are still to come. */
const settlingIntervals = { onset: 3, reduced: 1 } as const;

/** Each interval without loss raises the shares, by this more than the interval before, up to a limit. */
const growthStep = 0.002;
const mostGrowth = 0.03;
/** Shares that are not used do not grow. */
const usedPart = 0.9;

/** A session that sends this part of the fair share would send more. Another one leaves the rest, but for a margin. */
const limitedPart = 0.85;
const demandMargin = 1.2;

/** A session of which nothing arrives in so many intervals sends nothing. */
const mostSilentIntervals = 5;

/** Weight of the latest interval in the rate of a session. */
const latestWeight = 0.25;

/** After so many intervals in which no session needs its share, shares are not set any more. */
const unneededIntervals = 5;

/**
 * Loss that goes on while the senders keep to their shares has another cause. Each interval with loss counts 1, and each
 * one without it takes back a half. From this count on, shares are not set for a while, which doubles each time.
 */
const mostVainCount = 5;
const vainRelief = 0.5;
const firstPauseMs = 5000;
const longestPauseMs = 60_000;

/**
 * While shares are set, an interval lasts this number of the longest round trips, so that it shows what has become of
 * them. Each interval has at least a minimum length, and lasts until enough has arrived.
 */
const roundTrips = 2;
const leastIntervalMs = 10;
const longestRttMs = 200;
const countPerSession = 4;
const longestIntervalMs = 500;

/** What arrives of one session. */
export class Inflow {
  /** Whether the sender would send more than its share. It is believed until an interval without loss shows otherwise. */
  wantsMore = true;
  private arrivedBytes = 0;
  private lostBytes = 0;
  /** Number of intervals in a row in which nothing has arrived. */
  private silentIntervals = 0;
  private smoothRate: number | undefined;

  constructor(
    /** Round-trip time of the handshake; undefined if it could not be measured. */
    readonly rttMs: number | undefined,
    /** Whether what the session sends may be limited. What it sends by multicast may not. */
    readonly isLimitable: () => boolean,
    /** The number of paths by which the sender has sent. */
    readonly pathCount: () => number,
  ) {}

  add(arrivedBytes: number, lostBytes: number): void {
    this.arrivedBytes += arrivedBytes;
    this.lostBytes += lostBytes;
  }

  /** Ends an interval. */
  measure(elapsedMs: number): void {
    this.silentIntervals = this.arrivedBytes > 0 ? 0 : this.silentIntervals + 1;
    const rate = (this.arrivedBytes + this.lostBytes) / elapsedMs;
    if (!this.isActive) {
      this.smoothRate = undefined;
      this.wantsMore = true;
    } else if (this.smoothRate !== undefined) {
      this.smoothRate += latestWeight * (rate - this.smoothRate);
    } else if (this.arrivedBytes > 0) {
      this.smoothRate = rate;
    }
    this.arrivedBytes = 0;
    this.lostBytes = 0;
  }

  /** Whether the session sends, or is about to. */
  get isActive(): boolean {
    return this.silentIntervals < mostSilentIntervals;
  }

  /** What the sender has sent lately, in bytes per millisecond. */
  get sentRate(): number {
    return this.smoothRate ?? 0;
  }

  /** What the sender would send without a limit. */
  get demand(): number {
    return this.wantsMore ? Infinity : demandMargin * this.sentRate;
  }
}

export class IncomingShares {
  private readonly inflows = new Set<Inflow>();
  private beganAtMs: TimeMs = -Infinity;
  private arrivedBytes = 0;
  private lostBytes = 0;
  private arrivedCount = 0;
  private lostCount = 0;
  /** What all sessions together may send, in bytes per millisecond; undefined while no shares are set. */
  private total: number | undefined;
  /** What one session may send. */
  private fair = Infinity;
  private lossyIntervals = 0;
  private cleanIntervals = 0;
  private idleIntervals = 0;
  /** Number of intervals that still show what was sent before the shares were reduced. */
  private settlingIntervals = 0;
  private vainCount = 0;
  private pauseMs = firstPauseMs;
  private pausedUntilMs: TimeMs = -Infinity;

  /** A session begins. The parameters are those of `Inflow`. */
  open(...parameters: ConstructorParameters<typeof Inflow>): Inflow {
    const inflow = new Inflow(...parameters);
    this.inflows.add(inflow);
    // It begins with its share, so that it does not overload the link.
    if (this.total !== undefined) this.fair = this.divide(this.total);
    return inflow;
  }

  /** A session has its outcome. */
  close(inflow: Inflow): void {
    if (!this.inflows.delete(inflow)) return;
    if (this.limitable().length < leastSessions) this.clear();
  }

  /** What the session may send, in bytes per second; undefined for no limit. */
  shareOf(inflow: Inflow): number | undefined {
    if (this.total === undefined || !inflow.isLimitable()) return undefined;
    return Math.max(leastShareBytesPerSec, Math.round(1000 * this.fair));
  }

  /**
   * Datagrams of a session have arrived.
   * @param lostCount how many more of its datagrams turned out to be lost
   */
  take(
    nowMs: TimeMs,
    inflow: Inflow,
    count: number,
    lostCount: number,
    datagramSizeBytes: number,
  ): void {
    if (nowMs - this.beganAtMs > 2 * longestIntervalMs) this.restart(nowMs);
    else if (this.isIntervalOver(nowMs)) this.endInterval(nowMs);
    inflow.add(count * datagramSizeBytes, lostCount * datagramSizeBytes);
    this.arrivedBytes += count * datagramSizeBytes;
    this.lostBytes += lostCount * datagramSizeBytes;
    this.arrivedCount += count;
    this.lostCount += lostCount;
  }

  /** Nothing has arrived for a while. */
  private restart(nowMs: TimeMs): void {
    for (const inflow of this.inflows) inflow.measure(nowMs - this.beganAtMs);
    this.clear();
    this.beginInterval(nowMs);
  }

  private beginInterval(nowMs: TimeMs): void {
    this.beganAtMs = nowMs;
    this.arrivedBytes = 0;
    this.lostBytes = 0;
    this.arrivedCount = 0;
    this.lostCount = 0;
  }

  private isIntervalOver(nowMs: TimeMs): boolean {
    const elapsedMs = nowMs - this.beganAtMs;
    if (elapsedMs < this.intervalMs) return false;
    if (elapsedMs >= longestIntervalMs) return true;
    return this.arrivedCount + this.lostCount >= countPerSession * this.limitable().length;
  }

  private get intervalMs(): number {
    if (this.total === undefined) return leastIntervalMs;
    let rttMs = 0;
    for (const inflow of this.inflows)
      if (inflow.isActive) rttMs = Math.max(rttMs, inflow.rttMs ?? 0);
    return Math.max(leastIntervalMs, roundTrips * Math.min(rttMs, longestRttMs));
  }

  /** The sessions that send at the moment, and may be limited. */
  private limitable(): Inflow[] {
    return [...this.inflows].filter((inflow) => inflow.isActive && inflow.isLimitable());
  }

  private endInterval(nowMs: TimeMs): void {
    const elapsedMs = nowMs - this.beganAtMs;
    for (const inflow of this.inflows) inflow.measure(elapsedMs);
    const sessions = this.limitable();
    const sentBytes = this.arrivedBytes + this.lostBytes;
    const arrivalRate = this.arrivedBytes / elapsedMs;
    const lossRatio = sentBytes === 0 ? 0 : this.lostBytes / sentBytes;
    if (sessions.length < leastSessions) this.clear();
    else if (this.total === undefined) this.look(nowMs, sessions, arrivalRate, lossRatio);
    else this.adapt(nowMs, sessions, this.total, arrivalRate, lossRatio);
    this.beginInterval(nowMs);
  }

  /** Sets shares if the senders overload the link. */
  private look(
    nowMs: TimeMs,
    sessions: readonly Inflow[],
    arrivalRate: number,
    lossRatio: number,
  ): void {
    const pathCount = sessions.reduce((sum, inflow) => sum + inflow.pathCount(), 0);
    const isOverloaded = lossRatio > onsetLoss && this.lostCount >= onsetCount;
    const isLossy = isOverloaded && pathCount >= leastPaths;
    this.lossyIntervals = isLossy ? this.lossyIntervals + 1 : 0;
    const isCertain = isLossy && (lossRatio > highLoss || this.lossyIntervals >= onsetIntervals);
    if (!isCertain || nowMs < this.pausedUntilMs) return;
    this.total = firstPart * arrivalRate;
    for (const inflow of sessions) inflow.wantsMore = true;
    this.fair = this.divide(this.total);
    this.settlingIntervals = settlingIntervals.onset;
    this.cleanIntervals = 0;
    this.idleIntervals = 0;
    this.vainCount = 0;
  }

  /** Changes the shares by what has become of the last ones. */
  private adapt(
    nowMs: TimeMs,
    sessions: readonly Inflow[],
    total: number,
    arrivalRate: number,
    lossRatio: number,
  ): void {
    const isLossy = lossRatio > mostLoss && this.lostCount >= leastLostCount;
    const isObeyed = arrivalRate <= (1 - lossRatio) * obeyedPart * total;
    if (this.settlingIntervals > 0) this.settlingIntervals--;
    else if (!isObeyed) this.cleanIntervals = 0;
    else if (isLossy) this.reduce(total, arrivalRate);
    else this.grow(total, arrivalRate);
    // If much is lost, what has arrived says little about what was sent.
    if (!isLossy)
      for (const each of sessions) each.wantsMore = each.sentRate >= limitedPart * this.fair;
    this.idleIntervals = sessions.some(({ wantsMore }) => wantsMore) ? 0 : this.idleIntervals + 1;
    this.fair = this.divide(this.total ?? total);
    if (this.idleIntervals >= unneededIntervals) this.clear();
    if (this.vainCount < mostVainCount) return;
    this.clear();
    this.pausedUntilMs = nowMs + this.pauseMs;
    this.pauseMs = Math.min(2 * this.pauseMs, longestPauseMs);
  }

  private reduce(total: number, arrivalRate: number): void {
    const arrived = Math.min(total, Math.max(arrivalRate, leastReduction * total));
    this.total = reducedPart * arrived;
    this.cleanIntervals = 0;
    this.settlingIntervals = settlingIntervals.reduced;
    this.vainCount++;
  }

  private grow(total: number, arrivalRate: number): void {
    this.cleanIntervals++;
    this.vainCount = Math.max(0, this.vainCount - vainRelief);
    if (arrivalRate < usedPart * total) return;
    this.total = total * (1 + Math.min(mostGrowth, growthStep * this.cleanIntervals));
  }

  /** @returns the share of each that leads to the total; a session that would send less leaves the rest to others */
  private divide(total: number): number {
    let rest = total;
    for (const inflow of this.inflows) if (!inflow.isLimitable()) rest -= inflow.sentRate;
    rest = Math.max(0, rest);
    let fair = rest;
    const demands = this.limitable()
      .map(({ demand }) => demand)
      .sort((a, b) => a - b);
    for (const [i, demand] of demands.entries()) {
      fair = rest / (demands.length - i);
      if (demand > fair) break;
      rest -= demand;
    }
    return fair;
  }

  /** From now on, no session is limited. */
  private clear(): void {
    this.total = undefined;
    this.fair = Infinity;
    this.lossyIntervals = 0;
  }
}
