/**
 * Protocol faults of peers and strangers. They are counted by kind, never thrown. The first of each kind is also
 * reported as an event, so that users can see what another program does differently.
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
  /** A receiver got a datagram from its own address, so the datagram is forged or looped back. */
  | 'own-address'
  /** A receiver got data from an address that has sent ACKs and is therefore a receiver itself. */
  | 'from-receiver'
  /** From an address that is not part of the transfer. */
  | 'stranger'
  /** From an unknown address, but accepted as the answer of a known receiver (PROTOCOL 6.6). */
  | 'other-address'
  /** From a sender that must wait for another transfer to end. */
  | 'busy'
  /** A packet that belongs to no known transfer, because this receiver did not see the transfer's beginning. */
  | 'no-transfer'
  /** Data ahead of the next expected segment. */
  | 'out-of-sequence'
  /** Data that was already received. */
  | 'duplicate'
  /** A packet that came after the end of its transfer and gets no answer. */
  | 'after-end'
  /** The checksum is right only if an odd last byte is placed in the low half of its word. */
  | 'odd-byte-low'
  /** Data that came faster than it could be written; the sender will repeat it. */
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
  /** A datagram of an unknown or ended session. */
  | 'no-session'
  /** An unknown kind of datagram or message. */
  | 'unknown-kind'
  /** Another version of the session protocol. */
  | 'other-version'
  /** A cookie that is forged or expired. */
  | 'bad-cookie'
  /** An invalid handshake, or a sender or block for which there is no room. */
  | 'bad-handshake'
  | 'no-room'
  /** A message that cannot be decrypted with its channel's key. */
  | 'forged'
  /** A replayed message. */
  | 'replayed'
  | 'bad-message'
  /** A block or tagged datagram that fails authentication with the group key. */
  | 'forged-data'
  /** An authentic block whose digest differs from the one in the sender's digest tree. */
  | 'bad-block'
  /** A sender whose key is not trusted here. */
  | 'untrusted'
  /** An object whose names or sizes are refused. */
  | 'bad-object';

/** How often each kind of fault occurred; kinds that did not occur are left out. */
export type FaultCounts = Readonly<Partial<Record<FaultKind, number>>>;

/** The first fault of its kind. */
export interface FaultEvent {
  readonly type: 'fault';
  readonly kind: FaultKind;
  readonly from: string;
  /** The datagram as `describe` prints it. */
  readonly packet: string;
}

export class FaultLog {
  private readonly counts = new Map<FaultKind, number>();
  private readonly reported = new Set<FaultKind>();

  /** @param describeDatagram describes a datagram in one line */
  constructor(
    private readonly emit: (event: FaultEvent) => void,
    private readonly describeDatagram: (bytes: Uint8Array) => string = describe,
  ) {}

  /** @param count the number of datagrams with this fault; `bytes` is the first of them */
  add(kind: FaultKind, from: Address, bytes: Uint8Array, count = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
    if (!this.reported.has(kind)) {
      this.reported.add(kind);
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

  /** Returns the counts and resets them. Each kind is still reported only once. */
  takeCounts(): FaultCounts {
    const counts = this.toCounts();
    this.counts.clear();
    return counts;
  }
}
