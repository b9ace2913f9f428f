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

export interface HeldAnswer {
  readonly member: SessionMember;
  readonly packet: ChannelPacket;
  readonly from: Arrival;
  readonly arrivedAtMs: TimeMs;
}

interface Held extends HeldAnswer {
  readonly ends: PathEnds;
  readonly untilMs: TimeMs;
}

/** An answer waits for as long again as it took, within these limits; if that is not known, for the longer one. */
const leastWaitMs = 20;
const mostWaitMs = 250;

export class HeldAnswers {
  private readonly byMember = new Map<SessionMember, Held>();

  /** When `takeDue` returns the next answer. */
  get dueAtMs(): TimeMs {
    let dueAtMs = Infinity;
    for (const { untilMs } of this.byMember.values()) dueAtMs = Math.min(dueAtMs, untilMs);
    return dueAtMs;
  }

  /**
   * Takes an answer to a hello that went by several pairs.
   * @returns whether it waits; if not, those that waited are of no use any more
   */
  hold(
    nowMs: TimeMs,
    member: SessionMember,
    packet: ChannelPacket,
    from: Arrival,
    pairs: readonly PathEnds[],
  ): boolean {
    if (member.handshake?.isCookie(packet) !== true) return false;
    const ends = answeredPath(pairs, from);
    if (ends === undefined || !isSecondChoice(pairs, ends)) {
      this.byMember.delete(member);
      return false;
    }
    const held = this.byMember.get(member);
    const { sentAtMs } = member.requests;
    const tookMs = sentAtMs === undefined ? mostWaitMs : nowMs - sentAtMs;
    const untilMs = nowMs + Math.min(mostWaitMs, Math.max(leastWaitMs, tookMs));
    if (held === undefined || pairs.indexOf(ends) < pairs.indexOf(held.ends)) {
      // The memory of a datagram is used again.
      const kept = { ...packet, header: packet.header.slice(), body: packet.body.slice() };
      this.byMember.set(member, {
        ...{ member, packet: kept, from, ends, arrivedAtMs: nowMs },
        untilMs: held?.untilMs ?? untilMs,
      });
    }
    return true;
  }

  /** An answer for which no better one has come. */
  takeDue(nowMs: TimeMs): HeldAnswer | undefined {
    for (const [member, held] of this.byMember) {
      if (held.untilMs > nowMs) continue;
      this.byMember.delete(member);
      return held;
    }
    return undefined;
  }
}
