/**
 * How fast a rate group sends, and how much of it may be under way, by models of its members' paths (after BBR:
 * Cardwell et al. 2016; docs/CONGESTION.md). Counts are datagrams.
 */
import type { TimeMs } from '../base/machine.js';
import type { PathModel } from './path-model.js';
import { minSpanMs } from './path-model.js';

export type ControlState = 'startup' | 'drain' | 'up' | 'down' | 'cruise' | 'probe-rtt';

/** A member of a rate group, as far as its rate goes. */
export interface PacedMember {
  readonly model: PathModel;
  /** Sent there, and neither come nor lost by what was reported. */
  readonly inFlight: number;
}

export interface CongestionControllerOptions {
  /** Datagrams in a block: what goes out and is reported on as one. */
  readonly blockDatagrams: number;
  readonly datagramSizeBytes: number;
  readonly reportIntervalMs: number;
  /** 0..1: where in its cycle it begins, so that sessions do not probe at one time. */
  readonly randomPhase: number;
}

const startupGain = 2.77;
const drainGain = 0.4;
const probeRttGain = 0.5;

/** More for a round trip, less for another to let go of what that piled up; then as the model says. */
const upGain = 1.25;
const downGain = 0.75;
const cruiseRounds = 6;

/** Where others lose by what is tried, it is tried more seldom: after a time in which they can grow. */
const sharedCruiseRounds = 80;
const sharedCruiseMs = 3000;
const sharedForMs = 10_000;

/** On a short path a pace is kept for so long after more was lost without one. */
const pacedForMs = 3000;
const goldenRatio = 0.618_034;

/** Of what came through in a round of congestion, what is sent from then on; and the least of all. */
const yieldShare = 0.65;
const leastShare = 0.3;

const gains: Readonly<Record<ControlState, number>> = {
  startup: startupGain,
  drain: drainGain,
  up: upGain,
  down: downGain,
  cruise: 1,
  'probe-rtt': probeRttGain,
};

/** The most that may be under way, in products of bandwidth and shortest round trip. */
const inFlightGain = 2;

/** The same in blocks at least, and before anything is known. */
const leastBlocks = 4;

/** Hosts read late, and timers are coarse: what comes meanwhile is no queue, if a socket holds it. */
const hostSlackMs = 25;
const mostSlackBlocks = 32;

/** Growth of the bandwidth that startup goes on for, and rounds without it that end it. */
const startupGrowth = 1.25;
const startupRounds = 3;

/** Rounds after which a newcomer to a rate group has shown what its path takes. */
const provenRounds = 3;

/** Below this share of what the path took, no queue lasts. */
const belowLimitShare = 0.75;
/** Loss by chance is measured so often, where there is any to speak of, and for so long at most. */
const baselineEveryMs = 2000;
const lossWorthKnowing = 0.01;
const maxBelowLimitRounds = 5;
const maxDrainRounds = 3;

const minRoundMs = 3;
const probeRttEveryMs = 10_000;
const probeRttMs = 200;

/** Too little comes through by less to tell what the path takes: 128 kbit/s. */
const leastBytesPerMs = 16;

/** The least that is sent before the first report, in datagrams per millisecond; and the round trip for it. */
const initialPace = 6;
const leastInitialRttMs = 0.2;

export class CongestionController {
  private phase: ControlState = 'startup';
  /** Of what the model says, since others share the path; until the next probe. */
  private share = 1;
  private congestedAtMs: TimeMs = -Infinity;
  private yieldedAtMs: TimeMs = -Infinity;
  private roundBeganAtMs: TimeMs = -Infinity;
  private phaseBeganAtMs: TimeMs = 0;
  private phaseRounds = 0;
  private fullRate = 0;
  private flatRounds = 0;
  private capacityNow = 0;
  private deliveryNow = 0;
  private rttProbedAtMs: TimeMs = -Infinity;
  /** Until when there was less to send than might be sent. */
  appLimitedUntilMs: TimeMs = -Infinity;
  /** The longest round trip of the members' opening: what may be under way then goes out over so long. */
  initialRttMs = Infinity;
  /** Since when no queue can last by what is sent here. */
  belowLimitSinceMs: TimeMs = 0;
  /** Since when a pace is kept; Infinity while none is. */
  pacedSinceMs: TimeMs = 0;

  private randomPhase: number;

  constructor(private readonly options: CongestionControllerOptions) {
    this.randomPhase = options.randomPhase;
  }

  get state(): ControlState {
    return this.phase;
  }

  /** What the slowest member's path takes, in datagrams per millisecond; 0 before it is known. */
  get capacity(): number {
    return this.capacityNow;
  }

  /** Datagrams per millisecond to each member. */
  get pace(): number {
    return Math.max(this.modelPace, leastBytesPerMs / this.options.datagramSizeBytes);
  }

  private get modelPace(): number {
    const { phase, share, initialRttMs } = this;
    if (this.capacityNow === 0) {
      const first = leastBlocks * this.options.blockDatagrams;
      return Math.max(initialPace, first / Math.max(leastInitialRttMs, initialRttMs));
    }
    // Gentle means: below what came through, whatever the reason that not all did.
    if (isBelowLimit(phase))
      return gains[phase] * Math.min(this.deliveryNow, share * this.capacityNow);
    return gains[phase] * share * this.capacityNow;
  }

  /**
   * Whether what may be under way is limit enough: on a short path it fits the sockets, hosts are what takes
   * time, and a pace would leave them idle. Where more is lost than by chance, some queue is shorter.
   */
  get isUnpaced(): boolean {
    return this.pacedSinceMs === Infinity;
  }

  private choosePace(nowMs: TimeMs, members: readonly PacedMember[]): void {
    const isShort = members.every(({ model }) => model.isShort);
    const lostMore = members.some(({ model }) => nowMs - model.congestedAtMs < pacedForMs);
    const isUnpaced = isShort && !lostMore && this.phase !== 'startup';
    if (isUnpaced) this.pacedSinceMs = Infinity;
    else if (this.isUnpaced) this.pacedSinceMs = nowMs;
  }

  /** How many datagrams may be under way to a member. */
  inFlightLimit(model: PathModel): number {
    const { blockDatagrams, reportIntervalMs } = this.options;
    const least = leastBlocks * blockDatagrams;
    if (model.deliveryRate === 0) return least;
    const gain = this.phase === 'startup' ? startupGain : inFlightGain;
    const { capacity, minRttMs, reportGapMs } = model;
    const slack = Math.min(capacity * hostSlackMs, mostSlackBlocks * blockDatagrams);
    const product = capacity * minRttMs;
    const held = 2 * Math.max(reportIntervalMs, reportGapMs) * capacity;
    return Math.max(least, this.share * (Math.max(gain * product, product + slack) + held));
  }

  /** The members have changed: what the rate group carries is to be found out anew. */
  restart(): void {
    this.enter('startup', 0);
    this.share = 1;
    this.fullRate = 0;
    this.flatRounds = 0;
  }

  /** @param members those of whom reports are awaited */
  update(nowMs: TimeMs, members: readonly PacedMember[]): void {
    if (members.length === 0) return;
    this.findSlowest(members);
    if (this.capacityNow === 0) return;
    this.choosePace(nowMs, members);
    const isRoundOver =
      nowMs - this.roundBeganAtMs >= minRoundMs &&
      members.every(({ model }) => model.echoedSentAtMs >= this.roundBeganAtMs);
    if (!isRoundOver) return;
    this.handleRound(nowMs, members);
    this.roundBeganAtMs = nowMs;
  }

  private findSlowest(members: readonly PacedMember[]): void {
    let slowest: PathModel | undefined;
    for (const { model } of members) {
      const isProven = model.rounds >= provenRounds || this.phase === 'startup';
      if (!isProven || model.deliveryRate === 0) continue;
      if (slowest === undefined || model.capacity < slowest.capacity) slowest = model;
    }
    if (slowest === undefined) return;
    this.capacityNow = slowest.capacity;
    this.deliveryNow = slowest.deliveryRate;
  }

  private handleRound(nowMs: TimeMs, members: readonly PacedMember[]): void {
    this.phaseRounds++;
    const isCongested = members.some(({ model }) => model.congestedAtMs >= this.roundBeganAtMs);
    // What probing costs itself is no reason to yield, but to probe less.
    const isProbing = this.phase === 'up' || this.phase === 'down';
    const isCrowded = this.phase === 'cruise' && members.some((member) => this.isCrowded(member));
    if ((isCongested && isProbing) || isCrowded) this.congestedAtMs = nowMs;
    if (isCrowded) this.yield(nowMs, members);
    switch (this.phase) {
      case 'startup':
        if (this.isFull(isCongested)) this.enter('drain', nowMs);
        break;
      case 'drain':
        if (this.isBelowLimitOver(nowMs, members)) this.enter('cruise', nowMs);
        break;
      case 'up':
        // Deliveries are measured over some time: all of it is to be of this phase.
        if (nowMs - this.phaseBeganAtMs < this.leastUpMs) break;
        this.enter('down', nowMs);
        for (const { model } of members) model.endCycle();
        break;
      case 'down':
        if (this.isBelowLimitOver(nowMs, members)) this.enter('cruise', nowMs);
        break;
      case 'cruise':
        this.handleCruise(nowMs, members);
        break;
      case 'probe-rtt':
        if (nowMs - this.phaseBeganAtMs < probeRttMs) break;
        this.rttProbedAtMs = nowMs;
        this.enter('cruise', nowMs);
        break;
    }
  }

  /** More was lost than by chance, of what was sent while it neither probed nor knew that. */
  private isCrowded({ model }: PacedMember): boolean {
    if (model.isShort) return false;
    const sinceMs = Math.max(this.phaseBeganAtMs, this.yieldedAtMs);
    return model.congestedAtMs >= this.roundBeganAtMs && model.congestedFromMs >= sinceMs;
  }

  /** Others want their part of the path: a little less than what came through goes out from now on. */
  private yield(nowMs: TimeMs, members: readonly PacedMember[]): void {
    let share = this.share;
    for (const member of members) {
      if (!this.isCrowded(member)) continue;
      const { model } = member;
      const delivered = model.latestRate / (1 - model.baselineLoss) / this.capacityNow;
      share = Math.min(share, yieldShare * delivered);
    }
    this.yieldedAtMs = nowMs;
    this.share = Math.max(leastShare, Math.min(share, yieldShare * this.share));
    if (this.share <= belowLimitShare && this.belowLimitSinceMs === Infinity)
      this.belowLimitSinceMs = nowMs;
  }

  private handleCruise(nowMs: TimeMs, members: readonly PacedMember[]): void {
    if (this.needsShortRtt(nowMs, members)) {
      this.enter('probe-rtt', nowMs);
      return;
    }
    const isShared = nowMs - this.congestedAtMs < sharedForMs;
    const waitsMs = sharedCruiseMs * (1 + this.randomPhase / 2);
    const isLong = this.phaseRounds >= sharedCruiseRounds || nowMs - this.phaseBeganAtMs >= waitsMs;
    if (this.phaseRounds < cruiseRounds || (isShared && !isLong)) return;
    this.share = 1;
    // Another wait each time, so that no session is the first one for ever.
    this.randomPhase = (this.randomPhase + goldenRatio) % 1;
    this.enter('up', nowMs);
  }

  private enter(phase: ControlState, nowMs: TimeMs): void {
    this.phase = phase;
    this.phaseBeganAtMs = nowMs;
    this.phaseRounds = 0;
    this.belowLimitSinceMs = isBelowLimit(phase) || phase === 'startup' ? nowMs : Infinity;
  }

  private isFull(isCongested: boolean): boolean {
    if (this.capacityNow >= startupGrowth * this.fullRate) {
      this.fullRate = this.capacityNow;
      this.flatRounds = 0;
    } else if (this.appLimitedUntilMs < this.roundBeganAtMs) {
      this.flatRounds++;
    }
    return this.flatRounds >= startupRounds || (isCongested && this.flatRounds > 0);
  }

  private isDrained(members: readonly PacedMember[]): boolean {
    const blocks = 2 * this.options.blockDatagrams;
    return members.every(
      ({ model, inFlight }) => inFlight <= model.capacity * model.minRttMs + blocks,
    );
  }

  private get leastUpMs(): number {
    return 2 * Math.max(minSpanMs, this.options.reportIntervalMs);
  }

  /** What was piled up is let go of as a whole, but not for ever. */
  private isBelowLimitOver(nowMs: TimeMs, members: readonly PacedMember[]): boolean {
    if (this.phaseRounds < maxDrainRounds && !this.isDrained(members)) return false;
    return this.knowsLoss(nowMs, members);
  }

  /** Where something is lost, sending less for a few rounds shows whether by chance. */
  private knowsLoss(nowMs: TimeMs, members: readonly PacedMember[]): boolean {
    if (this.phaseRounds >= maxBelowLimitRounds) return true;
    return members.every(
      ({ model }) =>
        Math.max(model.lossRatio, model.baselineLoss) < lossWorthKnowing ||
        nowMs - model.baselineAtMs < baselineEveryMs,
    );
  }

  private needsShortRtt(nowMs: TimeMs, members: readonly PacedMember[]): boolean {
    if (nowMs - this.rttProbedAtMs < probeRttEveryMs) return false;
    return members.some(({ model }) => nowMs - model.minRttSeenAtMs >= probeRttEveryMs);
  }
}

function isBelowLimit(phase: ControlState): boolean {
  return phase === 'drain' || phase === 'down' || phase === 'probe-rtt';
}
