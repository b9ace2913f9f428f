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
import { sessionHeaderSizeBytes } from '../../wire/header.js';
import type { Demand } from '../demand.js';
import type { RateGroupOptions } from './rate-group.js';
import { RateGroup } from './rate-group.js';
import { SlowReceivers } from './slow-receivers.js';

/** Maximum number of catch-up groups. Further slow receivers share these groups. */
const maxCatchUpRateGroups = 8;

/** Share of the blocks in flight that one catch-up group may use. */
const catchUpShare = 1 / 16;

/** How often to look for slow receivers. */
const slowReceiverCheckMs = 100;

export interface RateGroupsOptions
  extends Omit<RateGroupOptions, 'isMain' | 'controller' | 'pathTo'> {
  /** 0..1, different for each session. */
  readonly randomPhase: number;
  /** The rate that the user configured. It holds for all rate groups together. */
  readonly rateBytesPerSec: number | undefined;
  /** Creates the controller of each rate group; by default, `createCongestionController`. */
  readonly createController: CreateCongestionController | undefined;
}

export class RateGroups {
  readonly main: RateGroup;
  /** The main group comes first. */
  private readonly groups: RateGroup[] = [];
  private readonly groupOf = new Map<Demand, RateGroup>();
  private readonly slowReceivers = new SlowReceivers();
  private checkedAtMs: TimeMs = -Infinity;
  private isContentOpen = false;

  constructor(private readonly options: RateGroupsOptions) {
    const controller = this.createController(options.rateBytesPerSec);
    this.main = new RateGroup({ ...options, controller, isMain: true, pathTo: ownPath });
    this.groups.push(this.main);
  }

  get count(): number {
    return this.groups.length;
  }

  [Symbol.iterator](): IterableIterator<RateGroup> {
    return this.groups[Symbol.iterator]();
  }

  /** The rate group at this position; 0 is the main group. */
  get(place: number): RateGroup {
    return at(this.groups, place);
  }

  add(demand: Demand): void {
    this.groupOf.set(demand, this.main);
  }

  /** The rate group that serves the receiver. */
  of(demand: Demand): RateGroup {
    const rateGroup = this.groupOf.get(demand);
    assert(rateGroup !== undefined, 'a receiver of this session');
    return rateGroup;
  }

  /** Whether the receiver was too slow for the main group and was moved to a catch-up group. */
  isSlow(demand: Demand): boolean {
    return this.of(demand) !== this.main;
  }

  /** Whether to send blocks of the content, not only of the manifest. */
  setContentOpen(isOpen: boolean): void {
    this.isContentOpen = isOpen;
    for (const rateGroup of this.groups) rateGroup.setContentOpen(isOpen);
  }

  /** Whether any block in flight is pending at the receiver. */
  isPending({ index }: Demand): boolean {
    for (const { rounds } of this.groups)
      for (const block of rounds.window) if (block.isPending(index)) return true;
    return false;
  }

  /** Whether a rate group is waiting for the bytes of this block. */
  isReading(index: number): boolean {
    return this.groups.some(({ rounds }) => rounds.window.find(index)?.isRead === false);
  }

  /** Nobody needs these blocks of the content any more. */
  withdraw(places: RangeSet, views: DigestViews): void {
    const { geometry, demands } = this.options;
    const { manifestBlockCount } = geometry;
    for (const { rounds } of this.groups) {
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
    for (const rateGroup of this.groups) rateGroup.end();
  }

  /** Updates the members of every rate group, and the limits that depend on them. */
  measureAll(): void {
    for (const rateGroup of this.groups) this.measure(rateGroup);
  }

  measure(rateGroup: RateGroup): void {
    const isMember = (demand: Demand) => demand.isServed && this.of(demand) === rateGroup;
    rateGroup.measure(this.options.demands.filter(isMember));
  }

  /**
   * Moves receivers that have become slow to catch-up groups. Call it often.
   * @returns the receivers that must be told that they leave the multicast group
   */
  splitOffSlow(nowMs: TimeMs): readonly Demand[] {
    if (nowMs - this.checkedAtMs < slowReceiverCheckMs) return [];
    this.checkedAtMs = nowMs;
    const slow = this.slowReceivers.find(nowMs, this.main.servedDemands);
    if (slow.length === 0) return [];
    const leaving = slow.filter(({ path }) => path.isMulticastReachable);
    for (const demand of slow) this.splitOff(demand);
    this.measureAll();
    this.main.controller.handleSplit();
    return leaving;
  }

  private splitOff(demand: Demand): void {
    this.main.release(demand);
    const isRoom = this.groups.length <= maxCatchUpRateGroups;
    const rateGroup = isRoom
      ? this.createCatchUpGroup()
      : this.get(1 + (demand.index % maxCatchUpRateGroups));
    this.groupOf.set(demand, rateGroup);
    demand.path.leaveGroup();
    demand.path.restartModel();
  }

  private createCatchUpGroup(): RateGroup {
    const { maxBlocks } = this.options;
    const catchUpBlocks = Math.max(2, Math.floor(maxBlocks * catchUpShare));
    const rateGroup = new RateGroup({
      ...this.options,
      isMain: false,
      pathTo: ownPath,
      maxBlocks: catchUpBlocks,
      controller: this.createController(undefined),
    });
    rateGroup.setContentOpen(this.isContentOpen);
    this.main.giveUpBlocks(catchUpBlocks);
    this.groups.push(rateGroup);
    return rateGroup;
  }

  private createController(rateBytesPerSec: number | undefined): CongestionController {
    const { geometry, reportInterval, randomPhase } = this.options;
    const { createController = createCongestionController } = this.options;
    return createController({
      blockDatagrams: geometry.segmentsPerBlock,
      datagramSizeBytes: geometry.mssBytes + sessionHeaderSizeBytes,
      get reportIntervalMs() {
        return reportInterval.ms;
      },
      randomPhase: (randomPhase + this.groups.length / 3) % 1,
      rateBytesPerSec,
    });
  }
}

function ownPath({ path }: Demand): Path {
  return path;
}
