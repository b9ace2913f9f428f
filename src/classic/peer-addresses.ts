/** Which receiver a datagram comes from. */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { Peer } from './peer.js';

export class PeerAddresses {
  private readonly byAddress = new Map<string, Peer>();

  /** @throws P2mpError INVALID_ARGUMENT where two receivers have one address */
  constructor(private readonly peers: readonly Peer[]) {
    for (const peer of peers) {
      const key = formatAddress(peer.address);
      const other = this.byAddress.get(key);
      if (other !== undefined) {
        throw new P2mpError(
          'INVALID_ARGUMENT',
          `receiver ${peer.name}: same address as ${other.name} (${key}); name each receiver once`,
        );
      }
      this.byAddress.set(key, peer);
    }
    for (const peer of peers) {
      for (const address of peer.addresses.all) {
        const key = formatAddress(address);
        if (!this.byAddress.has(key)) this.byAddress.set(key, peer);
      }
    }
  }

  find(from: Address): Peer | undefined {
    return this.byAddress.get(formatAddress(from));
  }

  /**
   * A host with several addresses may answer from another one (PROTOCOL 6.6). It is believed if its
   * port and the number it acknowledges leave exactly one receiver that has not been heard from.
   */
  adopt(from: Address, sequence: number): Peer | undefined {
    const [peer, ...others] = this.peers.filter(
      (candidate) =>
        candidate.status === 'active' &&
        !candidate.isHeard &&
        !candidate.hasAlias &&
        candidate.address.port === from.port &&
        sequence < candidate.sentSegments,
    );
    if (peer === undefined || others.length > 0) return undefined;
    peer.hasAlias = true;
    this.byAddress.set(formatAddress(from), peer);
    return peer;
  }
}
