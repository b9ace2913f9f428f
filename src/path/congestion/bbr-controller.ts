/**
 * The congestion controller that sessions use. It sets the pace and the in-flight limit from the path models of
 * the group's members (after BBR: Cardwell et al. 2016; docs/CONGESTION.md).
 */
import type { TimeMs } from '../../base/machine.js';
import { Pacer } from '../pacer.js';
import type { PathSample, SendingState } from '../path-model.js';
import { minSpanMs } from '../path-model.js';
import type {
  CongestionController,
  CongestionControlOptions,
  ControlledPath,
} from './congestion-control.js';

export type ControlState = 'startup' | 'drain' | 'up' | 'down' | 'cruise' | 'probe-rtt';

const startupGain = 2.77;
const drainGain = 0.4;
const probeRttGain = 0.5;

/**
 * The probing cycle: one round trip at more than the modelled rate, one at less to drain the queue, then
 * several at the modelled rate.
 */
const upGain = 1.25;
const downGain = 0.75;
const cruiseRounds = 6;

/** If probing causes loss, the path is shared. Probes then become rarer, so that other flows can grow in between. */
const sharedCruiseRounds = 72;
const sharedCruiseMs = 2700;
const sharedForMs = 10_000;

/** After congestion on a short path, sending is paced for this long. */
const pacedForMs = 3000;
const goldenRatio = 0.618_034;

/**
 * Congestion multiplies the share of the capacity by `yieldShare`, but never reduces it below `leastShare`.
 */
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

/** The in-flight limit, in bandwidth-delay products. */
const inFlightGain = 2;

/** Minimum in-flight limit, in blocks. It also applies before the first report. */
const leastBlocks = 4;

/**
 * The same for senders that share the links of their receivers: all together, and each. On a short path, more is needed
 * while hosts read late, and the queues of local networks have room for it.
 */
const sharedBlocks = { short: { all: 12, each: 2 }, other: { all: 8, each: 1 } } as const;

/**
 * Added to the in-flight limit, because hosts read late and timers are coarse. This much data fits in a
 * socket buffer, so it adds no queue on the path.
 */
const hostSlackMs = 25;
const mostSlackBlocks = 32;

/**
 * Startup ends after `startupRounds` rounds in which the capacity does not grow by the factor
 * `startupGrowth`.
 */
const startupGrowth = 1.25;
const startupRounds = 3;

/** Number of rounds after which a new member's path model is trusted. */
const provenRounds = 3;

/** Sending at this share of the capacity or less leaves no persistent queue. */
const belowLimitShare = 0.75;

/** Interval between measurements of baseline loss. */
const baselineEveryMs = 2000;
/** Minimum loss ratio that makes a measurement of baseline loss worthwhile. */
const lossWorthKnowing = 0.01;
/** Maximum number of rounds that a measurement of baseline loss takes. */
const maxBelowLimitRounds = 5;
const maxDrainRounds = 3;

const minRoundMs = 3;
const probeRttEveryMs = 10_000;
const probeRttMs = 200;

/** Minimum pace, 128 kbit/s. A slower sender delivers too little to measure the path. */
const leastBytesPerMs = 16;

/** Minimum pace before the first report, in datagrams per millisecond. */
const initialPace = 6;
/** Minimum round-trip time to assume before the first report. */
const leastInitialRttMs = 0.2;

export class BbrController implements CongestionController {
  private phase: ControlState = 'startup';
  /**
   * Share of the modelled capacity to use while other flows share the path. The next probe resets it to 1.
   */
  private share = 1;
  private congestedAtMs: TimeMs = -Infinity;
  private yieldedAtMs: TimeMs = -Infinity;
  private roundBeganAtMs: TimeMs = -Infinity;
  private phaseBeganAtMs: TimeMs = 0;
  private phaseRounds = 0;
  private fullRate = 0;
  private flatRounds = 0;
  /** The capacity and the delivery rate of the slowest member's path; 0 until they are measured. */
  private capacityNow = 0;
  private deliveryNow = 0;
  private rttProbedAtMs: TimeMs = -Infinity;
  /** The longest handshake round-trip time among the members. The initial window is spread over this time. */
  private initialRttMs = Infinity;
  private readonly sending: { -readonly [K in keyof SendingState]: SendingState[K] } = {
    appLimitedUntilMs: -Infinity,
    belowLimitSinceMs: 0,
    pacedSinceMs: 0,
    isGrowing: true,
  };
  private readonly pacer = new Pacer();
  private randomPhase: number;
  private senderCount = 1;

  constructor(private readonly options: CongestionControlOptions) {
    this.randomPhase = options.randomPhase;
  }

  handleMembers(paths: readonly ControlledPath[]): void {
    this.initialRttMs = 0;
    for (const { model } of paths) this.initialRttMs = Math.max(this.initialRttMs, model.minRttMs);
  }

  handleSplit(): void {
    this.enter('startup', 0);
    this.share = 1;
    this.fullRate = 0;
    this.flatRounds = 0;
  }

  handleSent(nowMs: TimeMs, count: number): void {
    if (!this.isUnpaced) this.pacer.handleSent(nowMs, count / this.pace);
  }

  handleFeedback(path: ControlledPath, sample: PathSample, paths: readonly ControlledPath[]): void {
    path.model.take(sample, this.sending);
    this.update(sample.nowMs, paths);
  }

  handleIdle(nowMs: TimeMs): void {
    this.sending.appLimitedUntilMs = nowMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    this.pacer.handleTimeout(nowMs);
  }

  maySend(nowMs: TimeMs): boolean {
    return this.isUnpaced || this.pacer.maySend(nowMs);
  }

  get nextSendAtMs(): TimeMs {
    return this.isUnpaced ? Infinity : this.pacer.nextSendAtMs;
  }

  sendRate(share: number): number {
    return this.pace / share;
  }

  findRoom(nowMs: TimeMs, path: ControlledPath): number {
    const room = this.inFlightLimit(path) - path.inFlight;
    if (room <= 0) path.model.handleFull(nowMs);
    return room;
  }

  get state(): ControlState {
    return this.phase;
  }

  /** The pace, in datagrams per millisecond to each member. */
  private get pace(): number {
    return Math.max(this.modelPace, leastBytesPerMs / this.options.datagramSizeBytes);
  }

  private get modelPace(): number {
    const { phase, share, initialRttMs } = this;
    if (this.capacityNow === 0) {
      const first = leastBlocks * this.options.blockDatagrams;
      return Math.max(initialPace, first / Math.max(leastInitialRttMs, initialRttMs));
    }
    // In these phases, the pace must stay below the delivery rate, even if all loss is random.
    if (isBelowLimit(phase))
      return gains[phase] * Math.min(this.deliveryNow, share * this.capacityNow);
    return this.gainOf(phase) * share * this.capacityNow;
  }

  /** Senders that share links try together whether more fits, each with its part. */
  private gainOf(phase: ControlState): number {
    return 1 + (gains[phase] - 1) / (this.options.senderCount ?? 1);
  }

  /**
   * Whether the in-flight limit alone controls sending, without pacing. On a short path, the window fits into
   * the socket buffers and the hosts are the bottleneck, so pacing would leave the hosts idle. Congestion
   * turns pacing on, because it shows that some queue is too short for the window.
   */
  private get isUnpaced(): boolean {
    return this.sending.pacedSinceMs === Infinity;
  }

  private choosePace(nowMs: TimeMs, paths: readonly ControlledPath[]): void {
    const isShort = paths.every(({ model }) => model.isShort);
    const lostMore = paths.some(({ model }) => nowMs - model.congestedAtMs < pacedForMs);
    const isUnpaced = isShort && !lostMore && this.phase !== 'startup';
    if (isUnpaced) this.sending.pacedSinceMs = Infinity;
    else if (this.isUnpaced) this.sending.pacedSinceMs = nowMs;
  }

  /** Maximum number of datagrams in flight to a member. */
  private inFlightLimit({ model, returnPath }: ControlledPath): number {
    const { blockDatagrams, reportIntervalMs, senderCount = 1 } = this.options;
    const { all, each } = model.isShort ? sharedBlocks.short : sharedBlocks.other;
    const least = Math.max(each, Math.min(leastBlocks, all / senderCount)) * blockDatagrams;
    if (model.deliveryRate === 0) return least;
    const isStartup = this.phase === 'startup';
    const gain = isStartup ? Math.max(inFlightGain, this.gainOf('startup')) : inFlightGain;
    const { capacity, minRttMs } = model;
    const slack = Math.min(capacity * hostSlackMs, mostSlackBlocks * blockDatagrams) / senderCount;
    const product = capacity * minRttMs;
    const held = 2 * Math.max(reportIntervalMs, returnPath.gapMs) * capacity;
    return Math.max(least, this.share * (Math.max(gain * product, product + slack) + held));
  }

  private update(nowMs: TimeMs, paths: readonly ControlledPath[]): void {
    if (paths.length === 0) return;
    this.findSlowest(paths);
    if (this.capacityNow === 0) return;
    this.noteSenders();
    this.choosePace(nowMs, paths);
    const isRoundOver =
      nowMs - this.roundBeganAtMs >= minRoundMs &&
      paths.every(({ model }) => model.echoedSentAtMs >= this.roundBeganAtMs);
    if (!isRoundOver) return;
    this.handleRound(nowMs, paths);
    this.roundBeganAtMs = nowMs;
  }

  /** What other senders had of the path is free once they have ended. */
  private noteSenders(): void {
    const { senderCount = 1 } = this.options;
    if (senderCount < this.senderCount) this.handleSplit();
    this.senderCount = senderCount;
  }

  private findSlowest(paths: readonly ControlledPath[]): void {
    let slowest: ControlledPath['model'] | undefined;
    for (const { model } of paths) {
      const isProven = model.rounds >= provenRounds || this.phase === 'startup';
      if (!isProven || model.deliveryRate === 0) continue;
      if (slowest === undefined || model.capacity < slowest.capacity) slowest = model;
    }
    if (slowest === undefined) return;
    this.capacityNow = slowest.capacity;
    this.deliveryNow = slowest.deliveryRate;
  }

  private handleRound(nowMs: TimeMs, paths: readonly ControlledPath[]): void {
    this.phaseRounds++;
    const isCongested = paths.some(({ model }) => model.congestedAtMs >= this.roundBeganAtMs);
    // Loss that probing causes is a reason to probe less often, but not a reason to yield.
    const isProbing = this.phase === 'up' || this.phase === 'down';
    const isCrowded = this.phase === 'cruise' && paths.some((path) => this.isCrowded(path));
    if ((isCongested && isProbing) || isCrowded) this.congestedAtMs = nowMs;
    if (isCrowded) this.yield(nowMs, paths);
    switch (this.phase) {
      case 'startup':
        if (this.isFull(isCongested)) this.enter('drain', nowMs);
        break;
      case 'drain':
        if (this.isBelowLimitOver(nowMs, paths)) this.enter('cruise', nowMs);
        break;
      case 'up':
        // The phase must contain a whole measurement interval.
        if (nowMs - this.phaseBeganAtMs < this.leastUpMs) break;
        this.enter('down', nowMs);
        for (const { model } of paths) model.endCycle();
        break;
      case 'down':
        if (this.isBelowLimitOver(nowMs, paths)) this.enter('cruise', nowMs);
        break;
      case 'cruise':
        this.handleCruise(nowMs, paths);
        break;
      case 'probe-rtt':
        if (nowMs - this.phaseBeganAtMs < probeRttMs) break;
        this.rttProbedAtMs = nowMs;
        this.enter('cruise', nowMs);
        break;
    }
  }

  /** Whether congestion affected data that was sent while cruising and since the rate was last reduced. */
  private isCrowded({ model }: ControlledPath): boolean {
    if (model.isShort) return false;
    const sinceMs = Math.max(this.phaseBeganAtMs, this.yieldedAtMs);
    return model.congestedAtMs >= this.roundBeganAtMs && model.congestedFromMs >= sinceMs;
  }

  /** Reduces the rate below the latest delivery rate, so that other flows get their share of the path. */
  private yield(nowMs: TimeMs, paths: readonly ControlledPath[]): void {
    let share = this.share;
    for (const path of paths) {
      if (!this.isCrowded(path)) continue;
      const { model } = path;
      const delivered = model.latestRate / (1 - model.baselineLoss) / this.capacityNow;
      share = Math.min(share, yieldShare * delivered);
    }
    this.yieldedAtMs = nowMs;
    this.share = Math.max(leastShare, Math.min(share, yieldShare * this.share));
    if (this.share <= belowLimitShare && this.sending.belowLimitSinceMs === Infinity)
      this.sending.belowLimitSinceMs = nowMs;
  }

  private handleCruise(nowMs: TimeMs, paths: readonly ControlledPath[]): void {
    if (this.needsShortRtt(nowMs, paths)) {
      this.enter('probe-rtt', nowMs);
      return;
    }
    const isShared = nowMs - this.congestedAtMs < sharedForMs;
    const { pathNumber = 0 } = this.options;
    if (this.phaseRounds < cruiseRounds + pathNumber || (isShared && !this.hasWaited(nowMs)))
      return;
    this.share = 1;
    // The wait differs each time, so that no session is always the first to probe.
    this.randomPhase = (this.randomPhase + goldenRatio) % 1;
    this.enter('up', nowMs);
  }

  /**
   * Whether a session that shares its path has waited long enough for its next probe. The first one to probe meets
   * the others at their full rate, and so yields the most. Therefore no session may be the first one each time: the
   * waits vary, and a session that has yielded more waits longer.
   */
  private hasWaited(nowMs: TimeMs): boolean {
    const yielded = Math.max(0, yieldShare - this.share);
    const factor = (1 + this.randomPhase / 2) * (1 + yielded);
    return (
      this.phaseRounds >= factor * sharedCruiseRounds ||
      nowMs - this.phaseBeganAtMs >= factor * sharedCruiseMs
    );
  }

  private enter(phase: ControlState, nowMs: TimeMs): void {
    this.phase = phase;
    this.phaseBeganAtMs = nowMs;
    this.phaseRounds = 0;
    this.sending.belowLimitSinceMs = isBelowLimit(phase) || phase === 'startup' ? nowMs : Infinity;
    this.sending.isGrowing = phase === 'startup';
  }

  private isFull(isCongested: boolean): boolean {
    if (this.capacityNow >= startupGrowth * this.fullRate) {
      this.fullRate = this.capacityNow;
      this.flatRounds = 0;
    } else if (this.sending.appLimitedUntilMs < this.roundBeganAtMs) {
      this.flatRounds++;
    }
    return this.flatRounds >= startupRounds || (isCongested && this.flatRounds > 0);
  }

  private isDrained(paths: readonly ControlledPath[]): boolean {
    const blocks = 2 * this.options.blockDatagrams;
    return paths.every(
      ({ model, inFlight }) => inFlight <= model.capacity * model.minRttMs + blocks,
    );
  }

  private get leastUpMs(): number {
    return 2 * Math.max(minSpanMs, this.options.reportIntervalMs);
  }

  /**
   * Whether a phase of sending below the path's capacity can end: baseline loss is known, and the queue has
   * drained or had enough time to drain.
   */
  private isBelowLimitOver(nowMs: TimeMs, paths: readonly ControlledPath[]): boolean {
    if (this.phaseRounds < maxDrainRounds && !this.isDrained(paths)) return false;
    return this.knowsLoss(nowMs, paths);
  }

  /**
   * Whether baseline loss is known. If data is being lost, a few rounds below the path's capacity show
   * whether the loss is random.
   */
  private knowsLoss(nowMs: TimeMs, paths: readonly ControlledPath[]): boolean {
    if (this.phaseRounds >= maxBelowLimitRounds) return true;
    return paths.every(
      ({ model }) =>
        Math.max(model.lossRatio, model.baselineLoss) < lossWorthKnowing ||
        nowMs - model.baselineAtMs < baselineEveryMs,
    );
  }

  private needsShortRtt(nowMs: TimeMs, paths: readonly ControlledPath[]): boolean {
    if (nowMs - this.rttProbedAtMs < probeRttEveryMs) return false;
    return paths.some(({ model }) => nowMs - model.minRttSeenAtMs >= probeRttEveryMs);
  }
}

function isBelowLimit(phase: ControlState): boolean {
  return phase === 'drain' || phase === 'down' || phase === 'probe-rtt';
}
