/** How far each peer of an exchange is, from what the coordinator hears. */
import { formatAddress } from '../../base/address.js';
import type { ExchangedContent, Roster, RosterPeer } from '../../roles/exchange/roster.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { ExchangePeerStatus } from './coordinate-options.js';

/** @returns the peers by name; one that joined again counts with its last conversation */
export function latestPeers({ peers }: Roster): RosterPeer[] {
  const latest = new Map<string, RosterPeer>();
  for (const peer of peers.values()) if (peer.isListed) latest.set(peer.name, peer);
  return [...latest.values()];
}

/** What a peer wants of an exchange: the content that others bring. */
export function wantedBy(peer: RosterPeer, contents: Iterable<ExchangedContent>) {
  return [...contents].filter((content) => !peer.brings(content));
}

export function heldBytesBy(peer: RosterPeer, content: ExchangedContent): number {
  const blocks = peer.holdings.get(content)?.count ?? 0;
  return Math.min(content.contentSizeBytes, blocks * standardBlockSizeBytes);
}

export function statusesOf(roster: Roster): ExchangePeerStatus[] {
  return latestPeers(roster).map((peer) => {
    const wanted = wantedBy(peer, roster.contents);
    return {
      ...{ name: peer.name, address: formatAddress(peer.address), presence: peer.presence },
      heldBytes: wanted.reduce((sum, content) => sum + heldBytesBy(peer, content), 0),
      totalBytes: wanted.reduce((sum, { contentSizeBytes }) => sum + contentSizeBytes, 0),
      storedObjects: wanted.filter((content) => peer.stored.has(content)).length,
      totalObjects: wanted.length,
    };
  });
}
