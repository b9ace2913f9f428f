/**
 * The rate groups that serve one receiver by several paths: one for each path, with its own controller and blocks in
 * flight (SESSIONS 5.14). Each opens the next block that the receiver needs when it has room. At the end, a path leaves
 * the last blocks to those that would deliver them earlier.
 */
import type { TimeMs } from '../../base/machine.js';
import type { SessionGeometry } from '../../object/geometry.js';
import type { PathSample } from '../../path/path-model.js';
import type { Demand } from '../demand.js';
import type { SessionBlock } from '../sealed-block.js';
import { Incast } from './incast.js';
import { coupledRestMs, PathCoupling } from './path-coupling.js';
import type { RateGroup } from './rate-group.js';

/** A rate group of one path, which may be out of use for the moment. */
interface PathGroup {
  readonly rateGroup: RateGroup;
  /** Whether it serves the receiver at the moment. */
  isServing: boolean;
  /** Nothing arrives by it. */
  isSilent: boolean;
  /** Until then, the path is not used although it works. */
  restsUntilMs: TimeMs;
}

/** With more blocks left than this many windows of all paths, no path waits for another. */
const lastWindows = 2;

/** A path waits for another one, or gives a block to it, only if that is earlier by at least this time. */
const leastGainMs = 2;

export class PathGroups {
  private readonly byNumber = new Map<number, PathGroup>();
  private readonly coupling = new PathCoupling();
  private readonly incast = new Incast();
  /** Those that began or stopped to serve the receiver. */
  private changed: PathGroup[] = [];

  constructor(
    private readonly demand: Demand,
    private readonly geometry: SessionGeometry,
    home: RateGroup,
  ) {
    this.set(0, home);
  }

  get count(): number {
    return this.byNumber.size;
  }

  add(nowMs: TimeMs, number: number, rateGroup: RateGroup): void {
    this.set(number, rateGroup);
    this.noteShare(nowMs);
    this.choose();
  }

  private set(number: number, rateGroup: RateGroup): void {
    this.byNumber.set(number, {
      rateGroup,
      isServing: true,
      isSilent: false,
      restsUntilMs: -Infinity,
    });
  }

  /** Removes a further path; by default, all of them. @returns their rate groups */
  remove(path?: number): readonly RateGroup[] {
    const removed: RateGroup[] = [];
    for (const [number, { rateGroup }] of this.byNumber) {
      if (number === 0 || number !== (path ?? number)) continue;
      this.byNumber.delete(number);
      this.coupling.forget(number);
      removed.push(rateGroup);
    }
    return removed;
  }

  /** Another rate group serves the receiver's first path from now on. */
  moveHome(rateGroup: RateGroup): void {
    this.byNumber.set(0, { ...(this.byNumber.get(0) as PathGroup), rateGroup });
  }

  find(number: number): RateGroup | undefined {
    return this.byNumber.get(number)?.rateGroup;
  }

  /** Whether the rate group serves the receiver at the moment. */
  isServedBy(rateGroup: RateGroup): boolean {
    for (const each of this.byNumber.values())
      if (each.rateGroup === rateGroup) return each.isServing;
    return false;
  }

  /** The rate groups that began or stopped to serve the receiver since the last call. */
  takeChanged(): readonly Readonly<PathGroup>[] {
    if (this.changed.length === 0) return noGroups;
    const { changed } = this;
    this.changed = [];
    return changed;
  }

  setSilent(number: number, isSilent: boolean): void {
    const group = this.byNumber.get(number);
    if (group === undefined) return;
    group.isSilent = isSilent;
    this.coupling.forget(number);
    // The paths that rest may be all that is left.
    if (!this.choose()) {
      for (const each of this.byNumber.values()) each.restsUntilMs = -Infinity;
      this.choose();
    }
  }

  /** Chooses the paths to use, by what a report says about one of them. */
  handleSample(nowMs: TimeMs, number: number, sample: PathSample): void {
    const group = this.byNumber.get(number);
    if (group === undefined) return;
    for (const each of this.byNumber.values())
      if (each.restsUntilMs <= nowMs) each.restsUntilMs = -Infinity;
    this.choose();
    if (group.isServing) {
      this.restCoupled(nowMs, number, sample, group);
      this.noteShare(nowMs);
    }
    this.choose();
  }

  /** Lets a path rest that shares a bottleneck with another one. */
  private restCoupled(
    nowMs: TimeMs,
    number: number,
    sample: PathSample,
    { rateGroup }: PathGroup,
  ): void {
    const { model } = rateGroup.pathTo(this.demand);
    const slower = this.coupling.handleSample(number, model, sample);
    if (slower === undefined) return;
    // By multicast, the first path costs nothing.
    const resting = slower === 0 && this.demand.path.isMulticastReachable ? number : slower;
    const tired = this.byNumber.get(resting);
    if (tired !== undefined) tired.restsUntilMs = nowMs + coupledRestMs;
  }

  /** Finds out whether the receiver lets the session send too little for several paths. */
  private noteShare(nowMs: TimeMs): void {
    const { demand } = this;
    let first: RateGroup | undefined;
    let pathCount = 0;
    for (const each of this.byNumber.values()) {
      if (!isUsable(each)) continue;
      first ??= each.rateGroup;
      pathCount++;
    }
    if (first === undefined) return;
    const path = first.pathTo(demand);
    this.incast.take(nowMs, {
      share: demand.share.perMs,
      rate: path.model.latestRate,
      rttMs: path.model.minRttMs,
      pathCount,
    });
  }

  /** @returns whether any path is usable */
  private choose(): boolean {
    let hasFirst = false;
    for (const each of this.byNumber.values()) {
      const isServing: boolean = isUsable(each) && !(hasFirst && this.incast.isOn);
      hasFirst ||= isServing;
      if (isServing === each.isServing) continue;
      each.isServing = isServing;
      this.changed.push(each);
    }
    return hasFirst;
  }

  /** All rate groups of the receiver, that of its first path first. */
  *[Symbol.iterator](): IterableIterator<RateGroup> {
    for (const { rateGroup } of this.byNumber.values()) yield rateGroup;
  }

  /** Whether the rate group is to open the next block, and not to leave it to paths that deliver it earlier. */
  mayOpen(nowMs: TimeMs, rateGroup: RateGroup): boolean {
    const { demand, geometry } = this;
    const blocksLeft = demand.neededCount;
    if (blocksLeft === 0 || this.isFarFromEnd(blocksLeft)) return true;
    const endMs = this.endOfNext(nowMs, rateGroup);
    if (endMs === undefined) return true;
    let blocks = 0;
    for (const other of this.served()) {
      if (other === rateGroup) continue;
      const { deliveryRate, rttMs } = other.pathTo(demand).model;
      const sendingMs = endMs - leastGainMs - rttMs / 2 - nowMs;
      const count = sendingMs * deliveryRate - this.unsentOf(other);
      // Only whole blocks count, so the path that is the first to deliver one never waits.
      blocks += Math.max(0, Math.floor(count / geometry.segmentsPerBlock));
    }
    return blocks < blocksLeft;
  }

  /**
   * Takes a block back from another path, if nothing else is left for this rate group and it would deliver the block
   * earlier.
   * @returns whether there was such a block
   */
  takeLate(nowMs: TimeMs, rateGroup: RateGroup): boolean {
    const { demand } = this;
    if (!demand.needsNothing || !this.isServedBy(rateGroup)) return false;
    const endMs = this.endOfNext(nowMs, rateGroup);
    if (endMs === undefined) return false;
    let latestMs = endMs + leastGainMs;
    let latest: SessionBlock | undefined;
    for (const other of this.served()) {
      if (other === rateGroup) continue;
      for (const block of other.rounds.window) {
        if (!block.isPending(demand.index)) continue;
        const atMs = this.endOf(nowMs, other, block);
        if (atMs === undefined || atMs <= latestMs) continue;
        latestMs = atMs;
        latest = block;
      }
    }
    if (latest === undefined) return false;
    demand.takeBack(latest);
    return true;
  }

  private *served(): IterableIterator<RateGroup> {
    for (const each of this.byNumber.values()) if (each.isServing) yield each.rateGroup;
  }

  private isFarFromEnd(blocksLeft: number): boolean {
    let inFlight = 0;
    for (const { rounds } of this) inFlight += rounds.window.length;
    return blocksLeft > lastWindows * Math.max(inFlight, this.count);
  }

  /** When a further block would arrive by the path of this rate group; undefined if its speed is not known yet. */
  private endOfNext(nowMs: TimeMs, rateGroup: RateGroup): TimeMs | undefined {
    const { deliveryRate, rttMs } = rateGroup.pathTo(this.demand).model;
    if (deliveryRate === 0) return undefined;
    const count = this.unsentOf(rateGroup) + this.geometry.segmentsPerBlock;
    return nowMs + count / deliveryRate + rttMs / 2;
  }

  /**
   * When a block in flight will arrive. If it is late already, the report and another round are still to come.
   * @returns undefined if that is not known yet
   */
  private endOf(nowMs: TimeMs, rateGroup: RateGroup, block: SessionBlock): TimeMs | undefined {
    const { deliveryRate, rttMs } = rateGroup.pathTo(this.demand).model;
    if (deliveryRate === 0) return undefined;
    if (isUnsent(block)) return nowMs + this.unsentOf(rateGroup) / deliveryRate + rttMs / 2;
    if (block.isSending) {
      const count = block.countToSend(this.demand.index, false);
      return nowMs + count / deliveryRate + rttMs / 2;
    }
    const arrivesAtMs = block.sentAtMs + rttMs / 2;
    return arrivesAtMs + leastGainMs >= nowMs ? arrivesAtMs : Math.max(nowMs, arrivesAtMs + rttMs);
  }

  /** Number of datagrams that the rate group has yet to send to the receiver. */
  private unsentOf({ rounds }: RateGroup): number {
    const { demand, geometry } = this;
    let blocks = 0;
    for (const block of rounds.window)
      if (isUnsent(block) && block.isPending(demand.index)) blocks++;
    return blocks * geometry.segmentsPerBlock;
  }
}

const noGroups: readonly PathGroup[] = [];

function isUsable({ isSilent, restsUntilMs }: PathGroup): boolean {
  return !isSilent && restsUntilMs === -Infinity;
}

/** Whether the first round of the block has not been sent completely. */
function isUnsent({ round, deadlineMs }: SessionBlock): boolean {
  return round <= 1 && deadlineMs === undefined;
}
