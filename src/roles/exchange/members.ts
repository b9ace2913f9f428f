/** The peers in conversation with the coordinator, and which of them is due for a message. */

import type { TimeMs } from '../../base/machine.js';
import { Deadlines } from '../../base/time/deadlines.js';
import type { Member } from './member.js';

export class Members {
  private readonly byChannel = new Map<number, Member>();
  private readonly deadlines = new Deadlines<Member>();

  get size(): number {
    return this.byChannel.size;
  }

  /** All of them. The caller may give each something to send. */
  [Symbol.iterator](): IterableIterator<Member> {
    for (const member of this.byChannel.values()) this.deadlines.touch(member);
    return this.byChannel.values();
  }

  /** Those whose objects are all known. */
  *listed(except?: Member): Iterable<Member> {
    for (const member of this) if (member !== except && member.isListed) yield member;
  }

  find(channel: number): Member | undefined {
    const member = this.byChannel.get(channel);
    if (member !== undefined) this.deadlines.touch(member);
    return member;
  }

  add(member: Member): void {
    this.byChannel.set(member.channel, member);
    this.deadlines.add(member);
  }

  delete(member: Member): void {
    this.byChannel.delete(member.channel);
    this.deadlines.delete(member);
  }

  /** When the first of them is due for a message; Infinity if none is. */
  get dueAtMs(): TimeMs {
    return this.deadlines.earliestMs;
  }

  /** Those that are due for a message. */
  due(nowMs: TimeMs): readonly Member[] {
    return this.deadlines.due(nowMs);
  }
}
