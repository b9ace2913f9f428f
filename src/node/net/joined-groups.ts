/** Multicast groups of sessions: each is joined once and left with its last session. */

export interface GroupSockets {
  /** @returns why no socket could join; undefined if one did */
  joinGroup(groupHost: string): string | undefined;
  leaveGroup(groupHost: string): void;
}

export class JoinedGroups {
  private readonly groupOfSession = new Map<number, string>();
  private readonly sessionCounts = new Map<string, number>();

  /**
   * A session whose group cannot be joined continues without it, because the sender's probe does not reach this host.
   * @returns why the group cannot be joined; undefined if it is joined
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
