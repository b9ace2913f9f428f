/**
 * What peers and strangers do wrong: counted by kind, never thrown. The first of each kind is also
 * told, so that a person can see what another program does differently.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { DecodeFault } from '../packet.js';
import { describe } from '../packet.js';

/** Why a datagram was dropped, or what was wrong with it. docs/COMMANDS.md explains each kind. */
export type FaultKind =
  | DecodeFault
  /** A data packet's payload does not match its checksum. */
  | 'bad-checksum'
  /** An ACK at the receiver, or data at the sender. */
  | 'wrong-direction'
  /** At a receiver, from its own address: forged, or sent in a circle. */
  | 'own-address'
  /** At a receiver, from an address that has sent ACKs and so is one itself. */
  | 'from-receiver'
  /** From an address that is none of the transfer's. */
  | 'stranger'
  /** From a receiver that is known by another address; taken as its own (PROTOCOL 6.6). */
  | 'other-address'
  /** A sender that must wait while another one's transfer goes on. */
  | 'busy'
  /** A data packet that belongs to no transfer: its beginning was not seen. */
  | 'no-transfer'
  /** Data ahead of the next expected segment. */
  | 'out-of-sequence'
  /** Data that was already received. */
  | 'duplicate'
  /** In the end marker's place or after the end, something else. */
  | 'after-end'
  /** The checksum fits with an odd last byte in the low half. */
  | 'odd-byte-low'
  /** More data than could be written so far; the sender will repeat it. */
  | 'storage-busy'
  /** ACK of a segment that was acknowledged before. */
  | 'stale-ack'
  /** ACK of the number after the last one sent (PROTOCOL 6.4). */
  | 'next-number-ack'
  /** ACK of a number that was never sent. */
  | 'ack-of-unsent'
  /** The 16 zero bits of an ACK are not zero. */
  | 'ack-reserved-bits'
  /** An ACK has bytes after its header. */
  | 'ack-trailing-bytes'
  /** A datagram of a session that is not known here, or no longer. */
  | 'no-session'
  /** A kind of datagram, or of message, that this version does not know. */
  | 'unknown-kind'
  /** Another version of the session dialect. */
  | 'other-version'
  /** A cookie that is not ours, or too old. */
  | 'bad-cookie'
  /** A handshake that does not fit; or one more than there is room for. */
  | 'bad-handshake'
  | 'no-room'
  /** A message that its channel's key does not open. */
  | 'forged'
  /** A message that was taken before. */
  | 'replayed'
  | 'bad-message'
  /** A block, or a tagged datagram, that the group key does not open. */
  | 'forged-data'
  /** A block that opens, but whose digest is not the object's. */
  | 'bad-block'
  /** A sender whose key is not trusted here. */
  | 'untrusted'
  /** An object whose names or sizes are refused. */
  | 'bad-object';

/** How often each kind of fault occurred; kinds that did not occur are left out. */
export type FaultCounts = Readonly<Partial<Record<FaultKind, number>>>;

/** The first fault of its kind, in words. */
export interface FaultEvent {
  readonly type: 'fault';
  readonly kind: FaultKind;
  readonly from: string;
  /** The datagram as `describe` prints it. */
  readonly packet: string;
}

export class FaultLog {
  private readonly counts = new Map<FaultKind, number>();
  private readonly told = new Set<FaultKind>();

  /** @param describeDatagram one line for people */
  constructor(
    private readonly emit: (event: FaultEvent) => void,
    private readonly describeDatagram: (bytes: Uint8Array) => string = describe,
  ) {}

  /** @param count of datagrams that have it, `bytes` the first of them */
  add(kind: FaultKind, from: Address, bytes: Uint8Array, count = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
    if (!this.told.has(kind)) {
      this.told.add(kind);
      this.emit({
        type: 'fault',
        kind,
        from: formatAddress(from),
        packet: this.describeDatagram(bytes),
      });
    }
  }

  toCounts(): FaultCounts {
    return Object.fromEntries(this.counts);
  }

  /** The counts so far; counting starts anew, but no kind is told a second time. */
  takeCounts(): FaultCounts {
    const counts = this.toCounts();
    this.counts.clear();
    return counts;
  }
}
