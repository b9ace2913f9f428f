/**
 * Proves further paths to the receivers of a session, keeps them alive, and notices when one dies (SESSIONS 3.17). A
 * path carries nothing else before its other end has answered a challenge.
 */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { pairPaths } from '../../path/pair-paths.js';
import { Path } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { Delivery } from '../../transfer/delivery.js';
import type { PathResponse } from '../../wire/paths.js';
import { maxPaths } from '../../wire/paths.js';
import type { ControlOutbox } from './control-outbox.js';
import { KeptPath, pathTiming } from './kept-path.js';
import type { SessionMember } from './member.js';

export interface PathKeeperOptions {
  readonly delivery: Delivery;
  readonly outbox: ControlOutbox;
  readonly crypto: Pick<SessionCrypto, 'random'>;
  /** Addresses of this host from which to send by further paths. */
  readonly localHosts: readonly string[];
}

export class PathKeeper {
  /** The receivers that have several paths. */
  private readonly members = new Set<SessionMember>();
  private checkAtMs: TimeMs = Infinity;

  constructor(private readonly options: PathKeeperOptions) {}

  get dueAtMs(): TimeMs {
    return this.checkAtMs;
  }

  /** The receiver has accepted the offer, and named its addresses. It knows nothing of earlier paths. */
  handleAccept(nowMs: TimeMs, member: SessionMember, addresses: readonly Address[]): void {
    this.drop(member);
    const { localHosts, crypto } = this.options;
    const { path } = member;
    const { address, from: localHost } = path;
    const known = localHost === undefined ? { address } : { address, localHost };
    const ends = pairPaths(localHosts, addresses, known, maxPaths - 1);
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
    if (wasUnproven) delivery.addPath(nowMs, member.demand, kept.path);
    else delivery.setSilent(member.demand, kept.path.number, false);
    this.chooseRoute(member);
    return true;
  }

  /** The receiver answers again on its old channel. */
  handleReturn(member: SessionMember): void {
    this.chooseRoute(member);
  }

  /** A report on this path has arrived. */
  handleReport(nowMs: TimeMs, member: SessionMember, number: number): void {
    const kept = member.paths[number];
    if (kept?.state === 'open') kept.handleSign(nowMs);
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

  /** Messages go by the first path that is open. */
  private chooseRoute(member: SessionMember): void {
    const open = member.paths.find(({ state }) => state === 'open');
    if (open?.path === member.route) return;
    member.setRoute(open?.path);
    // The receiver sends its own messages to where the last one came from.
    member.polls.setDue(true);
  }

  private challenge(nowMs: TimeMs, member: SessionMember, kept: KeptPath): void {
    const { delivery, outbox } = this.options;
    const { number } = kept.path;
    // Other challenges draw no report. A receiver that reports all the time would not be polled.
    const isOverdue = delivery.isOverdue(member.demand, number);
    const burst = isOverdue ? delivery.lastWholeBurst(member.demand, number) : undefined;
    outbox.sendChallenge(kept.path, member, kept.challenge(nowMs, burst));
    this.lookBy(kept.nextAtMs);
  }

  private lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }
}
