/** Judges what arrives at a sender: who sent it, what it means, and what is wrong with it (PROTOCOL 6). */
import type { Address } from '../base/address.js';
import type { AckPacket } from '../packet.js';
import { abortMark, decode, identifyMark } from '../packet.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import { FaultLog } from '../wire/faults.js';
import { describeToSender } from './diagnosis/unexpected-answers.js';
import type { Peer } from './peer.js';
import { PeerAddresses } from './peer-addresses.js';

/** What an ACK means. */
export type AckMeaning =
  /** The receiver identifies itself as p2mp. */
  | 'identity'
  /** The receiver has stopped. */
  | 'abort'
  /** It acknowledges something for the first time. */
  | 'progress'
  | 'repeated'
  /** It acknowledges data that was not sent yet: the segment after the last one that was sent. */
  | 'next-number'
  /** It acknowledges other data that was not sent yet. */
  | 'unsent';

export class IncomingAcks {
  private readonly byAddress: PeerAddresses;
  private readonly faults: FaultLog;

  constructor(
    peers: readonly Peer[],
    private readonly mssBytes: number,
    emit: (event: FaultEvent) => void,
  ) {
    this.byAddress = new PeerAddresses(peers);
    this.faults = new FaultLog(emit, describeToSender);
  }

  get faultCounts(): FaultCounts {
    return this.faults.toCounts();
  }

  /** @returns undefined if the datagram is no ACK, which is a fault */
  decode(from: Address, bytes: Uint8Array): AckPacket | undefined {
    const packet = decode(bytes);
    if (typeof packet !== 'string' && packet.kind === 'ack') return packet;
    this.faults.add(typeof packet === 'string' ? packet : 'wrong-direction', from, bytes);
    this.byAddress.find(from)?.unexpectedAnswers.addOther(bytes);
    return undefined;
  }

  /** @returns the receiver that sent the ACK; undefined if it came from a stranger */
  peerOf(packet: AckPacket, from: Address, bytes: Uint8Array): Peer | undefined {
    const known = this.byAddress.find(from);
    if (known !== undefined) return known;
    const peer = this.byAddress.adopt(from, packet.sequence);
    this.faults.add(peer === undefined ? 'stranger' : 'other-address', from, bytes);
    return peer;
  }

  judge(peer: Peer, packet: AckPacket, from: Address, bytes: Uint8Array): AckMeaning {
    const { sequence, reserved } = packet;
    if (reserved === identifyMark) return 'identity';
    if (reserved === abortMark) return 'abort';
    if (reserved !== 0) this.faults.add('ack-reserved-bits', from, bytes);
    if (packet.trailingBytes !== 0) this.faults.add('ack-trailing-bytes', from, bytes);
    const throughSegments = sequence + 1;
    if (throughSegments > peer.sentSegments) {
      const isNextNumber = sequence === peer.sentSegments;
      this.faults.add(isNextNumber ? 'next-number-ack' : 'ack-of-unsent', from, bytes);
      peer.unexpectedAnswers.addUnsent(sequence, peer.sentSegments, this.mssBytes);
      return isNextNumber ? 'next-number' : 'unsent';
    }
    if (throughSegments > peer.ackedSegments) return 'progress';
    this.faults.add('stale-ack', from, bytes);
    return 'repeated';
  }
}
