/**
 * The rate groups of a session, and which of them serves each receiver. All receivers start in the main group. A slow
 * receiver moves to a catch-up group, so that the other receivers need not wait for it (SESSIONS 5.11).
 */
import { assert, at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { RangeSet } from '../../base/range-set.js';
import type { DigestViews } from '../../object/digest-view.js';
import type {
  CongestionController,
  CreateCongestionController,
} from '../../path/congestion/congestion-control.js';
import { createCongestionController } from '../../path/congestion/create-controller.js';
import type { Path } from '../../path/path.js';
import type { PathSample } from '../../path/path-model.js';
import { sessionHeaderSizeBytes } from '../../wire/header.js';
import { maxPaths } from '../../wire/paths.js';
import type { Report } from '../../wire/report.js';
import type { Demand } from '../demand.js';
import { PathGroups } from './path-groups.js';
import type { RateGroupOptions } from './rate-group.js';
import { RateGroup } from './rate-group.js';
import { SlowReceivers } from './slow-receivers.js';

/** Maximum number of catch-up groups. Further slow receivers share these groups. */
const maxCatchUpRateGroups = 8;

/** Share of the blocks in flight that one catch-up group may use. */
const catchUpShare = 1 / 16;

/** Maximum number of receivers with a rate group of their own beside the main group, if each is to have one. */
const maxApartRateGroups = 8;

/** Share of the blocks in flight of the main group that such a rate group takes over. */
const apartShare = 1 / 4;

/** How often to look for receivers that the main group is not to serve. */
const memberCheckMs = 100;

export interface RateGroupsOptions
  extends Omit<RateGroupOptions, 'isMain' | 'controller' | 'pathTo' | 'mayOpen'> {
  /** 0..1, different for each session. */
  readonly randomPhase: number;
  /** The rate that the user configured. It holds for all rate groups together. */
  readonly rateBytesPerSec: number | undefined;
  /** The number of hosts that send to the same receivers, this one included. */
  readonly senderCount: () => number;
  /**
   * Whether all receivers share the main group. If not, only those do that multicast reaches. Each other one has a rate
   * group of its own, as far as there are enough, because it wants other blocks, at other times.
   */
  readonly servesTogether: boolean;
  /** Whether the session has a multicast group. */
  readonly hasGroup: boolean;
  /** Creates the controller of each rate group; by default, `createCongestionController`. */
  readonly createController: CreateCongestionController | undefined;
}

export class RateGroups {
  readonly main: RateGroup;
  /** The main group comes first. */
  private readonly groups: RateGroup[] = [];
  private readonly catchUp: RateGroup[] = [];
  /** The rate groups of receivers that do not want the same as others. */
  private readonly apart: RateGroup[] = [];
  /** The rate groups of further paths to receivers. */
  private readonly furtherGroups: RateGroup[] = [];
  private readonly groupOf = new Map<Demand, RateGroup>();
  /** The rate groups of the receivers that are served by several paths. */
  private readonly pathGroups = new Map<Demand, PathGroups>();
  private readonly slowReceivers = new SlowReceivers();
  private readonly slow = new Set<Demand>();
  private checkedAtMs: TimeMs = -Infinity;
  /** When receivers have had time to answer the last probe of the multicast group. */
  private probedAtMs: TimeMs = Infinity;
  private isContentOpen = false;
  private nowMs: TimeMs = 0;

  constructor(private readonly options: RateGroupsOptions) {
    const controller = this.createController(options.rateBytesPerSec);
    this.main = new RateGroup({ ...options, ...this.rules, controller, isMain: true });
    this.groups.push(this.main);
  }

  get count(): number {
    return this.groups.length + this.furtherGroups.length;
  }

  *[Symbol.iterator](): IterableIterator<RateGroup> {
    yield* this.groups;
    yield* this.furtherGroups;
  }

  /** The rate group at this position; 0 is the main group. */
  get(place: number): RateGroup {
    return this.groups[place] ?? at(this.furtherGroups, place - this.groups.length);
  }

  add(demand: Demand): void {
    const { servesTogether, hasGroup } = this.options;
    this.groupOf.set(demand, servesTogether || hasGroup ? this.main : this.findOwn(demand));
  }

  /** A rate group for one receiver: one that is out of use, a new one, or the one with the fewest receivers. */
  private findOwn(demand: Demand): RateGroup {
    const loads = new Map<RateGroup, number>();
    for (const [other, rateGroup] of this.groupOf)
      if (other !== demand && !other.isOver) loads.set(rateGroup, (loads.get(rateGroup) ?? 0) + 1);
    const loadOf = (rateGroup: RateGroup) => loads.get(rateGroup) ?? 0;
    const { main, apart } = this;
    const free = [main, ...apart].find((rateGroup) => loadOf(rateGroup) === 0);
    if (free !== undefined) return free;
    if (apart.length < maxApartRateGroups) {
      const rateGroup = this.createGroup(main.giveUpShare(apartShare));
      apart.push(rateGroup);
      return rateGroup;
    }
    // Beside receivers that multicast reaches, the blocks that only this one wants would come last.
    const shared = this.options.hasGroup ? apart : [main, ...apart];
    return shared.reduce((least, each) => (loadOf(each) < loadOf(least) ? each : least));
  }

  /** The rate group that serves the receiver. */
  of(demand: Demand): RateGroup {
    const rateGroup = this.groupOf.get(demand);
    assert(rateGroup !== undefined, 'a receiver of this session');
    return rateGroup;
  }

  /** Whether the receiver was too slow for the main group and was moved to a catch-up group. */
  isSlow(demand: Demand): boolean {
    return this.slow.has(demand);
  }

  /** Sets the time at which blocks are opened. */
  setTime(nowMs: TimeMs): void {
    this.nowMs = nowMs;
  }

  /** Whether to send blocks of the content, not only of the manifest. */
  setContentOpen(isOpen: boolean): void {
    this.isContentOpen = isOpen;
    for (const rateGroup of this) rateGroup.setContentOpen(isOpen);
  }

  private get rules(): Pick<RateGroupOptions, 'pathTo' | 'mayOpen'> {
    return { pathTo: ({ path }) => path, mayOpen: (rateGroup) => this.mayOpen(rateGroup) };
  }

  // --- Several paths to a receiver

  /** All rate groups that serve the receiver, each by another path. */
  groupsOf(demand: Demand): Iterable<RateGroup> {
    return this.pathGroups.get(demand) ?? [this.of(demand)];
  }

  /** The rate group that serves the receiver by this path. */
  by(demand: Demand, path: number): RateGroup | undefined {
    return path === 0 ? this.of(demand) : this.pathGroups.get(demand)?.find(path);
  }

  /** Serves the receiver by a further path, too. */
  addPath(demand: Demand, path: Path): void {
    const { geometry } = this.options;
    const home = this.of(demand);
    // Where receivers share a rate group, each of them may have further paths.
    const share = home.giveUpShare(1 / (maxPaths * Math.max(1, home.servedDemands.length)));
    const rateGroup = new RateGroup({
      ...this.options,
      ...this.rules,
      pathTo: () => path,
      isMain: false,
      maxBlocks: share,
      controller: this.createController(undefined, path.number),
    });
    rateGroup.setContentOpen(this.isContentOpen);
    this.furtherGroups.push(rateGroup);
    const own = this.pathGroups.get(demand) ?? new PathGroups(demand, geometry, home);
    this.pathGroups.set(demand, own);
    this.changePaths(demand, () => own.add(this.nowMs, path.number, rateGroup));
    demand.setPathCount(own.count);
    this.measureAll();
  }

  /** Serves the receiver by this further path no more; by default, by none. */
  dropPaths(demand: Demand, path?: number): void {
    const own = this.pathGroups.get(demand);
    if (own === undefined) return;
    const ended = own.remove(path);
    if (path === undefined) {
      this.pathGroups.delete(demand);
      demand.path.setUsed(true);
    }
    demand.setPathCount(own.count);
    const home = this.of(demand);
    for (const rateGroup of ended) {
      rateGroup.release(demand);
      rateGroup.end();
      home.takeBackShare(rateGroup);
      this.furtherGroups.splice(this.furtherGroups.indexOf(rateGroup), 1);
    }
    this.measureAll();
  }

  /** A path falls silent, or is used again. The others get the blocks of a path that is silent. */
  setSilent(demand: Demand, path: number, isSilent: boolean): void {
    this.changePaths(demand, (own) => own.setSilent(path, isSilent));
  }

  /** A report says this about one of the receiver's paths, which may change the paths that are used. */
  handleSample(demand: Demand, path: number, sample: PathSample | undefined): void {
    if (demand.share.takeOnset()) this.handleShare(demand);
    if (sample === undefined) return;
    this.changePaths(demand, (own) => own.handleSample(this.nowMs, path, sample));
  }

  /** What was measured while many senders overloaded the link to the receiver says little about its paths. */
  private handleShare(demand: Demand): void {
    for (const { controller, servedDemands } of this.groupsOf(demand))
      if (servedDemands.length === 1 && demand.share.perMs < controller.sendRate(1))
        controller.handleSplit();
  }

  private changePaths(demand: Demand, change: (own: PathGroups) => void): void {
    const own = this.pathGroups.get(demand);
    if (own === undefined) return;
    change(own);
    const changed = own.takeChanged();
    for (const { rateGroup, isServing } of changed) {
      const path = rateGroup.pathTo(demand);
      path.setUsed(isServing);
      if (isServing) path.restartModel();
      else rateGroup.release(demand);
    }
    if (changed.length > 0) this.measureAll();
  }

  private mayOpen(rateGroup: RateGroup): boolean {
    const [demand, ...others] = rateGroup.servedDemands;
    if (demand === undefined || others.length > 0) return true;
    return this.pathGroups.get(demand)?.mayOpen(this.nowMs, rateGroup) ?? true;
  }

  /** Lets a rate group that has nothing to send take over a block that would arrive late by another path. */
  takeLate(rateGroup: RateGroup): boolean {
    const [demand, ...others] = rateGroup.servedDemands;
    if (demand === undefined || others.length > 0 || !rateGroup.isWaiting) return false;
    if (this.pathGroups.get(demand)?.takeLate(this.nowMs, rateGroup) !== true) return false;
    rateGroup.wake();
    return true;
  }

  /** Whether any block in flight is pending at the receiver. */
  isPending({ index }: Demand): boolean {
    for (const { rounds } of this)
      for (const block of rounds.window) if (block.isPending(index)) return true;
    return false;
  }

  /** Whether a rate group is waiting for the bytes of this block. */
  isReading(index: number): boolean {
    for (const { rounds } of this) if (rounds.window.find(index)?.isRead === false) return true;
    return false;
  }

  /** Nobody needs these blocks of the content any more. */
  withdraw(places: RangeSet, views: DigestViews): void {
    const { geometry, demands } = this.options;
    const { manifestBlockCount } = geometry;
    for (const { rounds } of this) {
      for (const block of rounds.window) {
        if (!places.has(block.index - manifestBlockCount)) continue;
        for (const { index } of demands) block.clearMissing(index);
        block.endAllFeedback();
      }
    }
    for (const demand of demands) demand.withdraw(places, manifestBlockCount, views);
  }

  /** Stops sending. */
  end(): void {
    this.isContentOpen = false;
    for (const rateGroup of this) rateGroup.end();
  }

  /** Updates the members of every rate group, and the limits that depend on them. */
  measureAll(): void {
    for (const rateGroup of this) this.measure(rateGroup);
  }

  private measure(rateGroup: RateGroup): void {
    const isMember = (demand: Demand) => {
      if (!demand.isServed) return false;
      const own = this.pathGroups.get(demand);
      return own === undefined ? this.of(demand) === rateGroup : own.isServedBy(rateGroup);
    };
    rateGroup.measure(this.options.demands.filter(isMember));
  }

  /** A probe was sent to the multicast group. Receivers that it has reached say so until then. */
  awaitProbeAnswers(untilMs: TimeMs): void {
    for (const { path } of this.options.demands) path.awaitProbeAnswers(untilMs);
    this.probedAtMs = untilMs;
  }

  /** Takes what a report on the first path says about multicast. */
  handleGroupReport(nowMs: TimeMs, demand: Demand, report: Report): void {
    const { main } = this;
    const isUsed = this.options.hasGroup && !this.slow.has(demand);
    if (!demand.path.handleGroupReport(nowMs, report, isUsed, main.groupBursts)) return;
    if (demand.path.isMulticastReachable && this.of(demand) !== main) this.move(demand, main);
    this.measureAll();
  }

  /**
   * Moves receivers that have become slow to catch-up groups, and those that multicast does not reach to groups of their
   * own. Call it often.
   * @returns the receivers that must be told that they leave the multicast group
   */
  splitOff(nowMs: TimeMs): readonly Demand[] {
    if (nowMs >= this.probedAtMs) {
      this.probedAtMs = Infinity;
      this.checkedAtMs = -Infinity;
    }
    if (nowMs - this.checkedAtMs < memberCheckMs) return [];
    this.checkedAtMs = nowMs;
    if (!this.options.servesTogether) this.splitOffUnreached(nowMs);
    const slow = this.slowReceivers.find(
      nowMs,
      this.main.servedDemands,
      this.options.senderCount(),
    );
    if (slow.length === 0) return [];
    const leaving = slow.filter(({ path }) => path.isMulticastReachable);
    for (const demand of slow) this.splitOffSlow(demand);
    this.measureAll();
    this.main.controller.handleSplit();
    return leaving;
  }

  private splitOffUnreached(nowMs: TimeMs): void {
    let hasMoved = false;
    for (const demand of this.main.servedDemands) {
      if (!demand.path.isUnreached(nowMs)) continue;
      const rateGroup = this.findOwn(demand);
      if (rateGroup === this.main) continue;
      this.move(demand, rateGroup);
      hasMoved = true;
    }
    if (hasMoved) this.measureAll();
  }

  private splitOffSlow(demand: Demand): void {
    const isRoom = this.catchUp.length < maxCatchUpRateGroups;
    const rateGroup = isRoom
      ? this.createCatchUpGroup()
      : at(this.catchUp, demand.index % maxCatchUpRateGroups);
    this.move(demand, rateGroup);
    this.slow.add(demand);
    demand.path.leaveGroup();
  }

  /** Another rate group serves the receiver from now on. Call `measureAll` afterwards. */
  private move(demand: Demand, rateGroup: RateGroup): void {
    this.of(demand).release(demand);
    this.groupOf.set(demand, rateGroup);
    this.pathGroups.get(demand)?.moveHome(rateGroup);
    demand.path.restartModel();
  }

  private createCatchUpGroup(): RateGroup {
    const blocks = Math.max(2, Math.floor(this.options.maxBlocks * catchUpShare));
    this.main.giveUpBlocks(blocks);
    const rateGroup = this.createGroup(blocks);
    this.catchUp.push(rateGroup);
    return rateGroup;
  }

  private createGroup(maxBlocks: number): RateGroup {
    const rateGroup = new RateGroup({
      ...this.options,
      isMain: false,
      ...this.rules,
      maxBlocks,
      controller: this.createController(undefined),
    });
    rateGroup.setContentOpen(this.isContentOpen);
    this.groups.push(rateGroup);
    return rateGroup;
  }

  private createController(
    rateBytesPerSec: number | undefined,
    pathNumber = 0,
  ): CongestionController {
    const { geometry, reportInterval, randomPhase, senderCount } = this.options;
    const { createController = createCongestionController } = this.options;
    return createController({
      blockDatagrams: geometry.segmentsPerBlock,
      datagramSizeBytes: geometry.mssBytes + sessionHeaderSizeBytes,
      get reportIntervalMs() {
        return reportInterval.ms;
      },
      get senderCount() {
        return senderCount();
      },
      randomPhase: (randomPhase + this.count / 3) % 1,
      pathNumber,
      rateBytesPerSec,
    });
  }
}
