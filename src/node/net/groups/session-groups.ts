/** Joins and leaves the groups of sessions, and reports each reason why that fails once. */
import type { Address } from '../../../base/address.js';
import type { GroupSockets } from './joined-groups.js';
import { JoinedGroups } from './joined-groups.js';

export class SessionGroups {
  private readonly joined = new JoinedGroups();
  /** Reasons already reported. Each session has its own group, but the reasons are often the same. */
  private readonly reasons = new Set<string>();

  /** @param sockets returns undefined while there are none */
  constructor(
    private readonly sockets: () => GroupSockets | undefined,
    private readonly handleFailure: (group: string, reason: string) => void,
  ) {}

  join(session: number, group: Address): void {
    const sockets = this.sockets();
    if (sockets === undefined) return;
    const reason = this.joined.join(sockets, session, group);
    if (reason === undefined || this.reasons.has(reason)) return;
    this.reasons.add(reason);
    this.handleFailure(group.host, reason);
  }

  leave(session: number): void {
    const sockets = this.sockets();
    if (sockets !== undefined) this.joined.leave(sockets, session);
  }
}
