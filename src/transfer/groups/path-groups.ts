/**
 * The rate groups that serve one receiver by several paths: one for each path, with its own controller and blocks in
 * flight (SESSIONS 5.14). Each opens the next block that the receiver needs when it has room. At the end, a path leaves
 * the last blocks to those that would deliver them earlier.
 */
import type { TimeMs } from '../../base/machine.js';
import type { SessionGeometry } from '../../object/geometry.js';
import type { Demand } from '../demand.js';
import type { SessionBlock } from '../sealed-block.js';
import type { RateGroup } from './rate-group.js';

/** A rate group of one path, which may be out of use for the moment. */
interface PathGroup {
  readonly rateGroup: RateGroup;
  isSuspended: boolean;
}

/** With more blocks left than this many windows of all paths, no path waits for another. */
const lastWindows = 2;

/** A path waits for another one, or gives a block to it, only if that is earlier by at least this time. */
const leastGainMs = 2;

export class PathGroups {
  private readonly byNumber = new Map<number, PathGroup>();

  constructor(
    private readonly demand: Demand,
    private readonly geometry: SessionGeometry,
    home: RateGroup,
  ) {
    this.byNumber.set(0, { rateGroup: home, isSuspended: false });
  }

  get count(): number {
    return this.byNumber.size;
  }

  add(number: number, rateGroup: RateGroup): void {
    this.byNumber.set(number, { rateGroup, isSuspended: false });
  }

  /** The receiver has become slow: another rate group serves its first path. */
  moveHome(rateGroup: RateGroup): void {
    this.byNumber.set(0, { rateGroup, isSuspended: this.isSuspended(0) });
  }

  find(number: number): RateGroup | undefined {
    return this.byNumber.get(number)?.rateGroup;
  }

  isSuspended(number: number): boolean {
    return this.byNumber.get(number)?.isSuspended === true;
  }

  /** Whether the rate group serves the receiver at the moment. */
  isServedBy(rateGroup: RateGroup): boolean {
    for (const each of this.byNumber.values())
      if (each.rateGroup === rateGroup) return !each.isSuspended;
    return false;
  }

  /** @returns whether that is a change */
  setSuspended(number: number, isSuspended: boolean): boolean {
    const group = this.byNumber.get(number);
    if (group === undefined || group.isSuspended === isSuspended) return false;
    group.isSuspended = isSuspended;
    return true;
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
    for (const { rateGroup, isSuspended } of this.byNumber.values())
      if (!isSuspended) yield rateGroup;
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

  /** When a block in flight will arrive. If it is late already, the report and another round are still to come. */
  private endOf(nowMs: TimeMs, rateGroup: RateGroup, block: SessionBlock): TimeMs | undefined {
    const { deliveryRate, rttMs } = rateGroup.pathTo(this.demand).model;
    if (deliveryRate === 0) return undefined;
    if (isUnsent(block)) return nowMs + this.unsentOf(rateGroup) / deliveryRate + rttMs / 2;
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

/** Whether the first round of the block has not been sent completely. */
function isUnsent({ round, deadlineMs }: SessionBlock): boolean {
  return round <= 1 && deadlineMs === undefined;
}
