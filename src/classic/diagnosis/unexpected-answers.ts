/**
 * Unusable answers from a receiver: all datagrams except ACKs of data that was sent to the receiver. If the
 * receiver fails, the reason describes these answers to help the receiver's author, and does not suggest a
 * firewall problem (PROTOCOL 6.9).
 */

import { formatHex16, formatPlural } from '../../base/format.js';
import { readUint16 } from '../../base/network-order.js';
import {
  decode,
  describe,
  fieldOffset,
  headerSizeBytes,
  isAbortMarker,
  isIdentifyMarker,
  packetType,
} from '../../packet.js';
import { swapBytes } from './numbering.js';

/** Counts one receiver's unusable answers and describes the last one. */
export class UnexpectedAnswers {
  private count = 0;
  private last = '';

  /** Records a datagram that is not an ACK. */
  addOther(bytes: Uint8Array): void {
    this.count++;
    this.last = describeAnswer(bytes);
  }

  /**
   * Records an ACK for a segment number that was never sent.
   * @param sentSegments number of segments sent so far, numbered from 0
   * @param mssBytes size of each segment
   */
  addUnsent(sequence: number, sentSegments: number, mssBytes: number): void {
    this.count++;
    const last = sentSegments - 1;
    const cause = causeOfNumber(sequence, sentSegments, mssBytes);
    this.last = `an ACK of ${sequence}, but only ${last === 0 ? 'segment 0 was' : `segments 0 to ${last} were`} sent${cause}`;
  }

  /** @returns a clause to append to the reason of a failure; undefined if every answer was usable */
  describe(): string | undefined {
    if (this.count === 0) return undefined;
    const which = this.count === 1 ? ':' : ', the last of them';
    return `${formatPlural(this.count, 'unusable answer')} arrived${which} ${this.last}`;
  }
}

function causeOfNumber(sequence: number, sentSegments: number, mssBytes: number): string {
  // If an ACK counts bytes, its number is at most the number of bytes sent.
  if (sequence <= sentSegments * mssBytes && sequence % mssBytes === 0) {
    return '; the receiver seems to count bytes, but the protocol counts segments';
  }
  if (swapBytes(sequence) < sentSegments) {
    return '; the receiver seems to write numbers with the low byte first, but the protocol puts the high byte first';
  }
  return '';
}

/** A one-line description of a datagram received instead of an ACK. */
export function describeAnswer(bytes: Uint8Array): string {
  const { length } = bytes;
  const size = formatPlural(length, 'byte');
  if (length < headerSizeBytes) return `a datagram of ${size}, but an ACK has ${headerSizeBytes}`;
  const type = formatHex16(readUint16(bytes, fieldOffset.type));
  const packet = decode(bytes);
  const isData = typeof packet !== 'string' && packet.kind === 'data';
  const name = isData ? ', the type of data,' : '';
  return `a packet of type ${type}${name} with ${size}, but an ACK has type ${formatHex16(packetType.ack)}`;
}

/**
 * A one-line description of any datagram that a sender receives. Empty data from a receiver is not described
 * as an end marker.
 */
export function describeToSender(bytes: Uint8Array): string {
  const packet = decode(bytes);
  const isEmptyData =
    typeof packet !== 'string' && packet.kind === 'data' && packet.payload.length === 0;
  if (!isEmptyData || isAbortMarker(packet) || isIdentifyMarker(packet)) return describe(bytes);
  return `${describeAnswer(bytes)}; number ${packet.sequence}`;
}
