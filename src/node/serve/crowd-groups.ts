/** The multicast groups of the sessions of a server. */
import type { Address } from '../../base/address.js';
import type { MulticastChoice } from '../net/groups/group-address.js';
import {
  checkMulticastChoice,
  chooseCrowdGroup,
  localAddressTowards,
} from '../net/groups/group-address.js';
import type { MulticastSockets } from '../net/socket-runner.js';

export interface CrowdGroupsOptions {
  readonly choice: MulticastChoice;
  readonly ttl: number;
  readonly sockets: () => MulticastSockets | undefined;
}

export class CrowdGroups {
  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(private readonly options: CrowdGroupsOptions) {
    checkMulticastChoice(options.choice);
  }

  /**
   * Opens a socket to send to groups by the interface that leads to the client.
   * @returns its local address; undefined if there can be no group
   */
  async open(client: Address): Promise<string | undefined> {
    const { choice, ttl, sockets } = this.options;
    if (choice === 'never') return undefined;
    const from = await localAddressTowards(client);
    try {
      if (from !== undefined) await sockets()?.openGroupPort(from, ttl);
      return from;
    } catch {
      // Without a socket, everything can still be sent by unicast.
      return undefined;
    }
  }

  /**
   * Begins a group for a session. Its datagrams leave by the interface that leads to the first client.
   * @param from what `open` has returned for that client
   * @returns undefined if all clients of the session are served by unicast
   */
  begin(client: Address, from: string): Address | undefined {
    const { choice, sockets } = this.options;
    const group = chooseCrowdGroup(choice, client);
    const isReady = group !== undefined && sockets()?.sendGroupBy(group.host, from) === true;
    return isReady ? group : undefined;
  }

  /** The session has ended. */
  end(group: Address): void {
    // A group that the user has chosen can belong to other sessions, too.
    if (this.options.choice === 'auto') this.options.sockets()?.endGroup(group.host);
  }
}
