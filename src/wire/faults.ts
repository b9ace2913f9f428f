/**
 * Protocol faults of peers and strangers. Faults are counted by kind, never thrown. The first fault of each
 * kind is also reported as an event, so that users can see what another program does differently.
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
  /** An ACK that arrived at a receiver, or data that arrived at a sender. */
  | 'wrong-direction'
  /** A receiver got a datagram from its own address, so the datagram is forged or looped back. */
  | 'own-address'
  /** A receiver got data from an address that has sent ACKs and is therefore a receiver itself. */
  | 'from-receiver'
  /** A datagram from an address that is not part of the transfer. */
  | 'stranger'
  /** An answer from an unknown address, accepted as the answer of a known receiver (PROTOCOL 6.6). */
  | 'other-address'
  /** A packet from a sender that must wait until another transfer ends. */
  | 'busy'
  /** A packet of a transfer whose beginning this receiver did not receive. */
  | 'no-transfer'
  /** Data ahead of the next expected segment. */
  | 'out-of-sequence'
  /** Data that was already received. */
  | 'duplicate'
  /** A packet that arrived after the end of its transfer and gets no answer. */
  | 'after-end'
  /** A checksum that is correct only if an odd last byte is placed in the low half of its word. */
  | 'odd-byte-low'
  /** Data that arrived faster than the receiver could write it. The sender will repeat this data. */
  | 'storage-busy'
  /** An ACK of a segment that was acknowledged before. */
  | 'stale-ack'
  /** An ACK of the number after the last number sent (PROTOCOL 6.4). */
  | 'next-number-ack'
  /** An ACK of a number that was never sent. */
  | 'ack-of-unsent'
  /** An ACK in which the 16 bits that must be zero are not zero. */
  | 'ack-reserved-bits'
  /** An ACK with bytes after its header. */
  | 'ack-trailing-bytes'
  /** A datagram of an unknown or ended session. */
  | 'no-session'
  /** An unknown kind of datagram or message. */
  | 'unknown-kind'
  /** Another version of the session protocol. */
  | 'other-version'
  /** A cookie that is forged or expired. */
  | 'bad-cookie'
  /** A handshake packet that is invalid. */
  | 'bad-handshake'
  /** A handshake packet, a sender or a block for which the receiver has no room. */
  | 'no-room'
  /** A message that cannot be decrypted with the key of its channel. */
  | 'forged'
  /** A replayed message. */
  | 'replayed'
  | 'bad-message'
  /** A block or tagged datagram that fails authentication with the group key. */
  | 'forged-data'
  /** Data that names a path which its sender has not challenged. */
  | 'unproven-path'
  /** An authentic block whose digest is not the one in the digest tree of the content. */
  | 'bad-block'
  /** Digests from a sender that do not lead to the content root of its offer. */
  | 'bad-digests'
  /** An envelope that is not of the origin of a relayed object, or content that is not what it says. */
  | 'bad-envelope'
  /** A sender whose key is not trusted here. */
  | 'untrusted'
  /** An object with a name or size that this receiver refuses. */
  | 'bad-object';

/** Number of faults of each kind. Kinds that did not occur are missing. */
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

  /**
   * Returns the counts and resets them. Even so, only the first fault of each kind is ever reported as an
   * event.
   */
  takeCounts(): FaultCounts {
    const counts = this.toCounts();
    this.counts.clear();
    return counts;
  }
}
