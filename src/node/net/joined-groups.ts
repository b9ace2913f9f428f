/**
 * Multicast groups of sessions. Each group is joined once, for its first session, and left after its last
 * session.
 */

export interface GroupSockets {
  /** @returns the reason why no interface could join; undefined if at least one interface joined */
  joinGroup(groupHost: string): string | undefined;
  leaveGroup(groupHost: string): void;
}

export class JoinedGroups {
  private readonly groupOfSession = new Map<number, string>();
  private readonly sessionCounts = new Map<string, number>();

  /**
   * If the group cannot be joined, the sender's multicast probe does not reach this host, so the session
   * continues by unicast.
   * @returns the reason why the group cannot be joined; undefined if it is joined
   */
  join(sockets: GroupSockets, session: number, groupHost: string): string | undefined {
    const count = this.sessionCounts.get(groupHost) ?? 0;
    const failure = count === 0 ? sockets.joinGroup(groupHost) : undefined;
    if (failure !== undefined) return failure;
    this.sessionCounts.set(groupHost, count + 1);
    this.groupOfSession.set(session, groupHost);
    return undefined;
  }

  leave(sockets: GroupSockets, session: number): void {
    const groupHost = this.groupOfSession.get(session);
    if (groupHost === undefined) return;
    this.groupOfSession.delete(session);
    const count = (this.sessionCounts.get(groupHost) ?? 0) - 1;
    if (count > 0) {
      this.sessionCounts.set(groupHost, count);
      return;
    }
    this.sessionCounts.delete(groupHost);
    sockets.leaveGroup(groupHost);
  }
}
