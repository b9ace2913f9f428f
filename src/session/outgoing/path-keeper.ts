/**
 * Proves further paths to the receivers of a session, keeps them alive, and notices when one dies (SESSIONS 3.17). A
 * path carries nothing else before its other end has answered a challenge. A receiver that has moved to another address
 * gets a path to that one (SESSIONS 3.18).
 */
import type { Address, Arrival } from '../../base/address.js';
import { sameAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { firstPaths } from '../../path/first-paths.js';
import { pairPaths } from '../../path/pair-paths.js';
import type { PathEnds } from '../../path/path.js';
import { Path } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { Delivery } from '../../transfer/delivery.js';
import type { Demand } from '../../transfer/demand.js';
import type { PathResponse } from '../../wire/paths.js';
import { maxPaths } from '../../wire/paths.js';
import type { Report } from '../../wire/report.js';
import type { ControlOutbox } from './control-outbox.js';
import { KeptPath, pathTiming } from './kept-path.js';
import type { SessionMember } from './member.js';

export interface PathKeeperOptions {
  readonly delivery: Delivery;
  readonly outbox: ControlOutbox;
  readonly crypto: Pick<SessionCrypto, 'random'>;
  /** Addresses of this host from which to send by further paths. */
  readonly localHosts: readonly string[] | undefined;
}

/** Messages change their path only for a round trip that is shorter by this factor and by this time. */
const routeGain = 0.75;
const leastRouteGainMs = 1;

export class PathKeeper {
  /** The receivers that have several paths. */
  private readonly members = new Set<SessionMember>();
  /** The receivers that must learn from where messages come now. */
  private readonly rerouted = new Queue<SessionMember>();
  private checkAtMs: TimeMs = Infinity;

  private localHosts: readonly string[];
  /** All addresses at which paths could ever begin. */
  private readonly formerHosts: Set<string>;

  constructor(private readonly options: PathKeeperOptions) {
    this.localHosts = options.localHosts ?? [];
    this.formerHosts = new Set(this.localHosts);
  }

  /** A receiver to which messages now go by another path. It sends its own to where the last message came from. */
  pollRerouted(): SessionMember | undefined {
    return this.rerouted.shift();
  }

  get dueAtMs(): TimeMs {
    return this.checkAtMs;
  }

  /** The pairs of addresses by which a handshake with the receiver may go. */
  firstPathsTo({ path, announcedAddresses }: SessionMember): readonly PathEnds[] {
    return firstPaths(this.localHosts, path, announcedAddresses);
  }

  /** From now on, paths begin at these addresses of this host. */
  setLocalHosts(nowMs: TimeMs, hosts: readonly string[], members: readonly SessionMember[]): void {
    this.localHosts = hosts;
    for (const host of hosts) this.formerHosts.add(host);
    for (const member of members)
      if (member.status === 'active') this.revise(nowMs, member, ({ from }) => !this.isLost(from));
  }

  private isLost(host: string | undefined): boolean {
    return host !== undefined && this.formerHosts.has(host) && !this.localHosts.includes(host);
  }

  /** The receiver has other addresses now. */
  handleAddresses(nowMs: TimeMs, member: SessionMember, addresses: readonly Address[]): void {
    const has = (all: readonly Address[], one: Address) =>
      all.some((each) => sameAddress(each, one));
    const before = member.announcedAddresses;
    member.setAddresses(addresses);
    this.revise(
      nowMs,
      member,
      ({ address, from }) =>
        !this.isLost(from) && (has(addresses, address) || !has(before, address)),
    );
  }

  /**
   * Ends the paths whose ends are gone, and begins others.
   * @param isPossible whether a path still has both of its ends
   */
  private revise(nowMs: TimeMs, member: SessionMember, isPossible: (path: Path) => boolean): void {
    const { crypto, delivery } = this.options;
    const paths = member.paths.length > 0 ? [...member.paths] : [new KeptPath(member.path, crypto)];
    for (const kept of paths) {
      const { number } = kept.path;
      if (isPossible(kept.path)) {
        if (kept.hasEnded) kept.resume(nowMs);
      } else if (number === 0 && !paths.some((each) => each !== kept && each.state === 'open')) {
        // Nothing else carries messages. The system may find another way to the same address.
        if (this.isLost(kept.path.from)) kept.path.moveTo({ address: kept.path.address });
      } else {
        kept.end();
        delivery.setSilent(member.demand, number, true);
      }
    }
    this.beginPaths(nowMs, member, paths);
    if (paths.length === 1) return;
    this.members.add(member);
    member.setPaths(paths);
    this.chooseRoute(member);
    for (const { nextAtMs } of paths) this.lookBy(nextAtMs);
  }

  /** Begins the paths that the addresses of both sides allow in addition. */
  private beginPaths(
    nowMs: TimeMs,
    { path, announcedAddresses, demand }: SessionMember,
    paths: KeptPath[],
  ): void {
    const { crypto } = this.options;
    const proven = paths.filter(({ hasEnded, isUnproven }) => !hasEnded && !isUnproven);
    const [first = path.ends, ...further] = proven.map((each) => each.path.ends);
    const others = this.localHosts.length === 0 ? [] : path.addresses.all;
    const addresses = [...announcedAddresses, ...others];
    const count = maxPaths - proven.length;
    const pairs = pairPaths(this.localHosts, addresses, [first, ...further], count);
    const isOf = (kept: KeptPath, { address, localHost }: PathEnds) =>
      kept.path.from === localHost && sameAddress(kept.path.address, address);
    // Better pairs take the place of those that have not been proven yet.
    for (const kept of paths)
      if (kept.isUnproven && !pairs.some((ends) => isOf(kept, ends))) kept.end();
    for (const ends of pairs) {
      if (paths.some((kept) => !kept.hasEnded && isOf(kept, ends))) continue;
      const useless = paths.findIndex((kept) => kept.isUnproven && kept.hasEnded);
      const number = useless > 0 ? useless : freeNumber(paths);
      if (number === undefined) return;
      const kept = new KeptPath(new Path(ends, path.mssBytes, number), crypto);
      kept.scheduleAt(nowMs);
      this.place(kept, paths, demand);
    }
  }

  /** The receiver has accepted the offer, and named its addresses. It knows nothing of earlier paths. */
  handleAccept(nowMs: TimeMs, member: SessionMember, addresses: readonly Address[]): void {
    this.drop(member);
    member.setAddresses(addresses);
    const { localHosts, options } = this;
    const { crypto } = options;
    const { path } = member;
    // The receiver need not name an address by which the sender has already found it.
    const others = localHosts.length === 0 ? [] : path.addresses.all;
    const ends = pairPaths(localHosts, [...addresses, ...others], [path.ends], maxPaths - 1);
    if (ends.length === 0) return;
    const further = ends.map((each, i) => new Path(each, path.mssBytes, i + 1));
    const kept = [path, ...further].map((each) => new KeptPath(each, crypto));
    this.members.add(member);
    member.setPaths(kept);
    for (const each of kept) {
      if (each.isUnproven) this.challenge(nowMs, member, each);
      else each.scheduleAt(nowMs + pathTiming.keepAliveMs);
    }
  }

  /**
   * The newest authentic message has come from here. If no path has this address, the receiver has moved, or a router on
   * the way has given it another address. It still has to prove that it gets what is sent there.
   * @param sizeBytes the size of the datagram
   */
  handleSource(nowMs: TimeMs, member: SessionMember, from: Arrival, sizeBytes: number): void {
    const { paths, source } = member;
    if (member.status !== 'active' && !member.isSilent) return;
    const isFirst = sameAddress(from, source);
    const kept =
      paths.find(({ path }) => sameAddress(path.address, from)) ?? (isFirst ? paths[0] : undefined);
    if (kept !== undefined) {
      kept.handleSource(nowMs, sizeBytes);
      this.lookBy(kept.nextAtMs);
    } else if (!isFirst && !sameAddress(from, member.path.address)) {
      this.follow(nowMs, member, from, sizeBytes);
    }
  }

  /** Challenges an address that a message has come from. */
  private follow(nowMs: TimeMs, member: SessionMember, from: Arrival, sizeBytes: number): void {
    const { crypto } = this.options;
    const { path, demand } = member;
    const paths =
      member.paths.length > 0 ? [...member.paths] : [new KeptPath(path, crypto, 'left')];
    const number = freeNumber(paths);
    if (number === undefined) return;
    const ends = { address: from, ...withoutUndefined({ localHost: from.localHost }) };
    const seen = new KeptPath(new Path(ends, path.mssBytes, number), crypto, 'seen');
    seen.handleSource(nowMs, sizeBytes);
    // Those that are in use are dead, perhaps.
    for (const each of paths) each.handleOverdue(nowMs);
    this.place(seen, paths, demand);
    this.members.add(member);
    member.setPaths(paths);
    this.lookBy(nowMs);
  }

  /** Puts a path under its number, in place of the one that had it. */
  private place(kept: KeptPath, paths: KeptPath[], demand: Demand): void {
    const { number } = kept.path;
    const earlier = paths[number];
    if (earlier !== undefined) {
      this.options.delivery.dropPaths(demand, number);
      kept.replace(earlier);
    }
    paths[number] = kept;
  }

  /** The receiver has its outcome, or must be connected again. */
  drop(member: SessionMember): void {
    if (!this.members.delete(member)) return;
    member.setPaths([]);
    member.setRoute(undefined);
    this.options.delivery.dropPaths(member.demand);
  }

  /** The path of this number; undefined if there is none. */
  find(member: SessionMember, number: number): Path | undefined {
    return number === 0 ? member.path : member.paths[number]?.path;
  }

  /** @returns false if it answers no challenge */
  handleResponse(nowMs: TimeMs, member: SessionMember, response: PathResponse): boolean {
    const kept = member.paths[response.path];
    const wasUnproven = kept?.isUnproven === true;
    const answer = kept?.handleResponse(nowMs, response);
    if (kept === undefined || answer === undefined) return false;
    this.lookBy(kept.nextAtMs);
    if (!answer.isOpened) return true;
    const { delivery } = this.options;
    if (wasUnproven) {
      delivery.addPath(nowMs, member.demand, kept.path);
      member.noteAddress(kept.path.address);
    } else delivery.setSilent(member.demand, kept.path.number, false);
    this.chooseRoute(member);
    return true;
  }

  /** The receiver answers again on its old channel. */
  handleReturn(member: SessionMember): void {
    this.chooseRoute(member);
  }

  /** A report on a path has arrived. It may have come by another one. */
  handleReport(
    nowMs: TimeMs,
    member: SessionMember,
    { path: number, segmentsReceived }: Pick<Report, 'path' | 'segmentsReceived'>,
  ): void {
    const kept = member.paths[number];
    if (kept?.state !== 'open') return;
    kept.handleArrivals(nowMs, segmentsReceived);
    this.chooseRoute(member);
  }

  /** A round on this path is overdue. */
  handleOverdue(nowMs: TimeMs, member: SessionMember, number: number): void {
    member.paths[number]?.handleOverdue(nowMs);
    this.lookBy(nowMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.checkAtMs = Infinity;
    for (const member of this.members) {
      if (member.isSettled) {
        this.members.delete(member);
        continue;
      }
      for (const each of member.paths) {
        if (each.nextAtMs <= nowMs) this.handleDue(nowMs, member, each);
        this.lookBy(each.nextAtMs);
      }
    }
  }

  private handleDue(nowMs: TimeMs, member: SessionMember, kept: KeptPath): void {
    if (kept.isExhausted && this.isAnotherOpen(member, kept)) {
      kept.setSilent();
      this.options.delivery.setSilent(member.demand, kept.path.number, true);
      this.chooseRoute(member);
    }
    this.challenge(nowMs, member, kept);
  }

  private isAnotherOpen(member: SessionMember, kept: KeptPath): boolean {
    return member.paths.some((each) => each !== kept && each.state === 'open');
  }

  /** Messages go by the open path with the shortest round trip. */
  private chooseRoute(member: SessionMember): void {
    let best: Path | undefined;
    let isCurrentOpen = false;
    for (const { state, path } of member.paths) {
      if (state !== 'open') continue;
      isCurrentOpen ||= path === member.route;
      if (best === undefined || roundTripMs(path) < roundTripMs(best)) best = path;
    }
    if (best === undefined || best === member.route) return;
    const isWorthIt = roundTripMs(best) < routeGain * roundTripMs(member.route) - leastRouteGainMs;
    if (isCurrentOpen && !isWorthIt) return;
    member.setRoute(best);
    // Reports on the first path take another way back from now on.
    if (!isCurrentOpen) member.path.restartModel();
    member.polls.setDue(true);
    this.rerouted.push(member);
  }

  private challenge(nowMs: TimeMs, member: SessionMember, kept: KeptPath): void {
    const { delivery, outbox } = this.options;
    const { number } = kept.path;
    // Other challenges draw no report. A receiver that reports all the time would not be polled.
    const isOverdue = delivery.isOverdue(member.demand, number);
    const burst = isOverdue ? delivery.lastWholeBurst(member.demand, number) : undefined;
    const challenge = kept.challenge(nowMs, burst);
    if (challenge !== undefined) outbox.sendChallenge(kept.path, member, challenge);
    this.lookBy(kept.nextAtMs);
  }

  private lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }
}

/** The round-trip time with queues; before there are reports on the path, that of a challenge or the handshake. */
function roundTripMs({ rtt, model }: Path): number {
  return rtt.rttMs ?? model.minRttMs;
}

/** A number for a further path: a new one, or that of a path that is of the least use; undefined if all are in use. */
function freeNumber(paths: readonly KeptPath[]): number | undefined {
  if (paths.length < maxPaths) return paths.length;
  for (const state of ['closed', 'silent', 'new']) {
    const number = paths.findIndex((each, i) => i > 0 && each.state === state);
    if (number > 0) return number;
  }
  return undefined;
}
