/**
 * Answers to hellos that came by a pair of addresses of second choice (SESSIONS 3.13). Each waits for a moment whether a
 * better pair answers: often, a host answers at all of its addresses, whatever its networks are.
 */
import type { Arrival } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { answeredPath, isSecondChoice } from '../../path/first-paths.js';
import type { PathEnds } from '../../path/path.js';
import type { ChannelPacket } from '../../wire/header.js';
import type { SessionMember } from './member.js';

export interface HelloAnswer {
  readonly member: SessionMember;
  readonly packet: ChannelPacket;
  readonly from: Arrival;
  readonly arrivedAtMs: TimeMs;
}

interface Held extends HelloAnswer {
  /** The place of its pair among all. */
  readonly rank: number;
  readonly untilMs: TimeMs;
}

/** An answer waits for as long again as it took, within these limits; if that is not known, for the longer one. */
const leastWaitMs = 20;
const mostWaitMs = 250;

export class HeldAnswers {
  private readonly byMember = new Map<SessionMember, Held>();

  /** @param firstPathsTo the pairs of addresses by which a handshake with the receiver may go */
  constructor(private readonly firstPathsTo: (member: SessionMember) => readonly PathEnds[]) {}

  /** The pairs of addresses by which hellos go, as long as none has been answered. */
  pairsOf(member: SessionMember): readonly PathEnds[] {
    return member.handshake?.stage === 'hello' ? this.firstPathsTo(member) : [];
  }

  /** When `takeDue` returns the next answer. */
  get dueAtMs(): TimeMs {
    let dueAtMs = Infinity;
    for (const { untilMs } of this.byMember.values()) dueAtMs = Math.min(dueAtMs, untilMs);
    return dueAtMs;
  }

  /** @returns whether the answer waits; if not, those that waited are of no use any more */
  hold(answer: HelloAnswer): boolean {
    const { member, packet, from, arrivedAtMs } = answer;
    if (member.handshake?.isCookie(packet) !== true) return false;
    const pairs = this.pairsOf(member);
    const ends = answeredPath(pairs, from);
    if (ends === undefined || !isSecondChoice(pairs, ends)) {
      this.byMember.delete(member);
      return false;
    }
    const held = this.byMember.get(member);
    const rank = pairs.indexOf(ends);
    if (held !== undefined && held.rank <= rank) return true;
    const { sentAtMs } = member.requests;
    const tookMs = sentAtMs === undefined ? mostWaitMs : arrivedAtMs - sentAtMs;
    const untilMs = arrivedAtMs + Math.min(mostWaitMs, Math.max(leastWaitMs, tookMs));
    // The memory of a datagram is used again.
    const kept = { ...packet, header: packet.header.slice(), body: packet.body.slice() };
    const waiting = { ...answer, packet: kept, rank, untilMs: held?.untilMs ?? untilMs };
    this.byMember.set(member, waiting);
    return true;
  }

  /** The answers for which no better ones have come. */
  takeDue(nowMs: TimeMs): readonly HelloAnswer[] {
    const due = [...this.byMember.values()].filter(({ untilMs }) => untilMs <= nowMs);
    for (const { member } of due) this.byMember.delete(member);
    return due;
  }
}
