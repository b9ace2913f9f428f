/**
 * Keeps the owners of an exchange together. All that arrives at a peer shares its downlink, and the last owner ends the
 * exchange. So each owner takes a part of each downlink that is in proportion to what it still has to send there, or
 * what the others leave. What a downlink carries is known from what its peer says it holds. Congestion control does the
 * rest.
 */
import type { TimeMs } from '../../base/machine.js';
import { RateLimit } from '../../path/pacer.js';
import { WindowedExtreme } from '../../path/windowed-extreme.js';
import type { Roster, RosterPeer } from './roster.js';

/** How far an owner is at a receiver, in blocks. */
export interface Progress {
  readonly held: number;
  readonly total: number;
  /** Whether it has left, so that others send what is missing of it. */
  readonly isAbsent?: boolean;
}

export interface Receiver {
  /** When it said so. */
  readonly heardAtMs: TimeMs;
  /** How far each owner is, by their numbers. */
  readonly owners: ReadonlyMap<number, Progress>;
}

/** Speed is measured over this time. */
const measuredMs = 1000;

/** A receiver that has said nothing for so long, while others have, counts for nothing: it may have died. */
const silentMs = 1000;

/** For how long a speed counts as what a downlink can carry. */
const memoryMs = 10_000;

/** A speed that has grown by more in this time may be that of sessions that begin. */
const steadyMs = 500;
const steadyGrowth = 1.1;

/** More than what a downlink carries by measure, because it may carry more. What is in flight has another limit. */
const headroom = 1.05;
const growingHeadroom = 2;

/** At less than this share of what it carries, a downlink has room. */
const fullShare = 0.95;

/** An owner that takes more than its part gives up so much of it within `measuredMs`. */
const givenUpShare = 0.15;

/** For how long a busy host may be late without a loss of speed. */
const creditMs = 20;

export class EvenPace {
  /** For all sessions in which this peer sends. */
  readonly rateLimit: RateLimit;
  private mostOwners = 1;
  private readonly downlinks = new Map<number, Downlink>();
  /** When peers last said what they hold. */
  private readonly heardAtMs = new Map<number, TimeMs>();

  constructor(
    private readonly blockSizeBytes: number,
    rateBytesPerSec = Infinity,
  ) {
    this.rateLimit = new RateLimit(rateBytesPerSec, creditMs);
  }

  /** A peer has said what it holds. */
  handleHeld(nowMs: TimeMs, receiver: number): void {
    this.heardAtMs.set(receiver, nowMs);
  }

  /** The number of owners whose content still arrives at the same receiver. */
  get ownerCount(): number {
    return this.mostOwners;
  }

  /**
   * Sets the limit.
   * @param number that of this peer, if it has one
   * @param isByMulticast whether what peers send leaves them once, and not once for each receiver
   */
  update(number: number | undefined, { peers }: Roster, isByMulticast: boolean): void {
    if (number === undefined) return;
    this.mostOwners = 1;
    const receivers = new Map<number, Receiver>();
    const lastHeardAtMs = Math.max(...this.heardAtMs.values());
    for (const receiver of peers.values()) {
      if (receiver.number === number || !receiver.isPresent) continue;
      const heardAtMs = this.heardAtMs.get(receiver.number);
      if (heardAtMs !== undefined && heardAtMs < lastHeardAtMs - silentMs) continue;
      const owners = progressAt(receiver, peers.values());
      const active = [...owners.values()].filter((progress) => comingOf(progress) > 0);
      this.mostOwners = Math.max(this.mostOwners, active.length);
      if (heardAtMs !== undefined) receivers.set(receiver.number, { heardAtMs, owners });
    }
    if (isByMulticast)
      this.rateLimit.lowerTo(1000 * this.limit(number, receivers) * this.blockSizeBytes);
  }

  /**
   * @param number that of this peer
   * @param receivers the others, by their numbers
   * @returns how many blocks this peer may send in a millisecond; Infinity for no limit
   */
  limit(number: number, receivers: ReadonlyMap<number, Receiver>): number {
    for (const receiver of this.downlinks.keys())
      if (!receivers.has(receiver)) this.downlinks.delete(receiver);
    let least = Infinity;
    for (const [receiver, { heardAtMs, owners }] of receivers) {
      let downlink = this.downlinks.get(receiver);
      if (downlink === undefined) {
        downlink = new Downlink();
        this.downlinks.set(receiver, downlink);
      }
      downlink.note(heardAtMs, owners);
      least = Math.min(least, downlink.limitOf(number));
    }
    return least;
  }
}

/** What arrives at one receiver. */
class Downlink {
  private seen: { readonly atMs: TimeMs; readonly owners: ReadonlyMap<number, Progress> }[] = [];
  private readonly best = new WindowedExtreme('greatest', memoryMs);
  /** What the best speed was some time ago. */
  private earlier = { atMs: -Infinity, speed: 0 };
  private isSteady = false;

  /** @param atMs when the receiver said that */
  note(atMs: TimeMs, owners: ReadonlyMap<number, Progress>): void {
    const { seen, earlier } = this;
    const lastAtMs = seen.at(-1)?.atMs ?? -Infinity;
    if (atMs <= lastAtMs) return;
    this.seen = seen.filter((_, i) => (seen[i + 1]?.atMs ?? atMs) > atMs - measuredMs);
    this.seen.push({ atMs, owners });
    const { speed } = this;
    if (speed > 0) this.best.add(atMs, speed);
    if (atMs - earlier.atMs < steadyMs) return;
    const best = this.best.value ?? 0;
    this.isSteady = best > 0 && best <= steadyGrowth * earlier.speed;
    this.earlier = { atMs, speed: best };
  }

  /** The blocks that arrive in a millisecond; 0 if not enough was seen. */
  private get speed(): number {
    let speed = 0;
    for (const owner of this.seen.at(-1)?.owners.keys() ?? []) speed += this.speedOf(owner);
    return speed;
  }

  /** The blocks of one owner that arrive in a millisecond. */
  private speedOf(owner: number): number {
    const [first, last] = [this.seen[0], this.seen.at(-1)];
    if (first === undefined || last === undefined) return 0;
    const ms = last.atMs - first.atMs;
    if (ms < measuredMs / 2) return 0;
    return (heldOf(last.owners, owner) - heldOf(first.owners, owner)) / ms;
  }

  /** How many blocks the owner may send in a millisecond; Infinity for no limit. */
  limitOf(owner: number): number {
    const owners = this.seen.at(-1)?.owners;
    const carried = this.best.value;
    if (owners === undefined || carried === undefined) return Infinity;
    const own = comingOf(owners.get(owner));
    let missing = 0;
    for (const progress of owners.values()) missing += comingOf(progress);
    // The last owner has the link for itself.
    if (own === 0 || own === missing) return Infinity;
    const { speed } = this;
    const ownSpeed = this.speedOf(owner);
    const left =
      speed < fullShare * carried ? ownSpeed + carried - speed : (1 - givenUpShare) * ownSpeed;
    const room = this.isSteady ? headroom : growingHeadroom;
    return room * Math.max((carried * own) / missing, left);
  }
}

function heldOf(owners: ReadonlyMap<number, Progress>, owner: number): number {
  return owners.get(owner)?.held ?? 0;
}

/** What the owner itself still has to send. */
function comingOf(progress: Progress | undefined): number {
  return progress === undefined || progress.isAbsent === true ? 0 : progress.total - progress.held;
}

/** How far each owner is at a receiver. */
function progressAt(receiver: RosterPeer, owners: Iterable<RosterPeer>): Map<number, Progress> {
  const found = new Map<number, Progress>();
  for (const owner of owners) {
    if (owner === receiver) continue;
    let [held, total] = [0, 0];
    for (const { content } of owner.objects) {
      if (receiver.brings(content)) continue;
      held += receiver.holdings.get(content)?.count ?? 0;
      total += content.blockCount;
    }
    if (total > 0) found.set(owner.number, { held, total, isAbsent: !owner.isPresent });
  }
  return found;
}
