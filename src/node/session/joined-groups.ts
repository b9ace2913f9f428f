/** The multicast groups that sessions listen to: each is joined once, and left with the last session. */

export interface GroupSockets {
  /** @returns whether any socket has joined */
  joinGroup(groupHost: string): boolean;
  leaveGroup(groupHost: string): void;
}

export class JoinedGroups {
  private readonly groupOfSession = new Map<number, string>();
  private readonly sessionCounts = new Map<string, number>();

  /** A group that cannot be joined is no fault: the sender's probe finds nobody there. */
  join(sockets: GroupSockets, session: number, groupHost: string): void {
    const count = this.sessionCounts.get(groupHost) ?? 0;
    if (count === 0 && !sockets.joinGroup(groupHost)) return;
    this.sessionCounts.set(groupHost, count + 1);
    this.groupOfSession.set(session, groupHost);
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
