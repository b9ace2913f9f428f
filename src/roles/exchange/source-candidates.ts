/** The other peers as sources of a fetch, each under a name of its own. */

import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { toHex } from '../../wire/byte-codec.js';
import type { Roster, RosterPeer } from './roster.js';

export class SourceCandidates {
  private readonly specs = new Map<string, ReceiverSpec>();
  /** The names of the peers by those of their specs. */
  private readonly names = new Map<string, string>();

  /** The others, from the next number on, so that not all peers ask the same ones. */
  listAfter(own: number, roster: Roster): RosterPeer[] {
    const peers = [...roster.peers.values()].filter(
      ({ number, isListed }) => isListed && number !== own,
    );
    const place = peers.findIndex(({ number }) => number > own);
    return place <= 0 ? peers : [...peers.slice(place), ...peers.slice(0, place)];
  }

  specOf({ name, key, address }: RosterPeer): ReceiverSpec {
    const id = `${toHex(key)} ${address.host} ${address.port}`;
    let spec = this.specs.get(id);
    if (spec === undefined) {
      const isTaken = [...this.specs.values()].some((other) => other.name === name);
      spec = { name: isTaken ? `${name} (${address.host}:${address.port})` : name, address };
      this.specs.set(id, spec);
      this.names.set(spec.name, name);
    }
    return spec;
  }

  /** The name of the peer that is a source under this name. A peer that has joined again is another source. */
  nameOf(source: string): string {
    return this.names.get(source) ?? source;
  }
}
