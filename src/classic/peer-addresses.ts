/** Maps source addresses to receivers. */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { Peer } from './peer.js';

/** Finds the receiver that a datagram came from. */
export class PeerAddresses {
  private readonly byAddress = new Map<string, Peer>();

  /** @throws P2mpError INVALID_ARGUMENT if two receivers share an address */
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
   * Adopts a new source address, because a multihomed host may answer from another address (PROTOCOL 6.6). The address
   * is accepted only if its port and the acknowledged number match exactly one receiver that has not answered yet.
   */
  adopt(from: Address, sequence: number): Peer | undefined {
    const [peer, ...others] = this.peers.filter(
      (candidate) =>
        candidate.status === 'active' &&
        !candidate.hasAnswered &&
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
