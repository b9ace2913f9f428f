/**
 * Multicast groups of sessions. Each group is joined once, for its first session, and left after its last
 * session.
 */

import type { Address } from '../../../base/address.js';
import { formatAddress } from '../../../base/address.js';

export interface GroupSockets {
  /** @returns the reason why no interface could join; undefined if at least one interface joined */
  joinGroup(group: Address): string | undefined;
  leaveGroup(group: Address): void;
}

export class JoinedGroups {
  private readonly groupOfSession = new Map<number, Address>();
  private readonly sessionCounts = new Map<string, number>();

  /**
   * If the group cannot be joined, the sender's multicast probe does not reach this host, so the session
   * continues by unicast.
   * @returns the reason why the group cannot be joined; undefined if it is joined
   */
  join(sockets: GroupSockets, session: number, group: Address): string | undefined {
    const name = formatAddress(group);
    const count = this.sessionCounts.get(name) ?? 0;
    const failure = count === 0 ? sockets.joinGroup(group) : undefined;
    if (failure !== undefined) return failure;
    this.sessionCounts.set(name, count + 1);
    this.groupOfSession.set(session, group);
    return undefined;
  }

  leave(sockets: GroupSockets, session: number): void {
    const group = this.groupOfSession.get(session);
    if (group === undefined) return;
    this.groupOfSession.delete(session);
    const name = formatAddress(group);
    const count = (this.sessionCounts.get(name) ?? 0) - 1;
    if (count > 0) {
      this.sessionCounts.set(name, count);
      return;
    }
    this.sessionCounts.delete(name);
    sockets.leaveGroup(group);
  }
}
