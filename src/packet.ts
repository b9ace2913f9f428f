/**
 * The classic wire format (PROTOCOL 2): an 8-byte header in network byte order, then the payload.
 * `decode` never throws: it returns a packet or the name of the fault.
 */
import { internetChecksum, sameChecksum } from './base/checksum.js';
import { formatCrc32 } from './base/crc32.js';
import { formatHex16 } from './base/format.js';
import { readUint16, readUint32, writeUint16, writeUint32 } from './base/network-order.js';

/** Size of the classic header in front of the payload (PROTOCOL 2.1). */
export const headerSizeBytes = 8;

/** Byte offset of each header field. */
export const fieldOffset = { sequence: 0, checksum: 4, type: 6, payload: headerSizeBytes } as const;

/** Values of the type field (PROTOCOL 2.2). Some other programs mark the end with one of the last three. */
export const packetType = {
  data: 0x5555,
  ack: 0xaaaa,
  lastData: 0x5557,
  otherLastData: 0x5556,
  end: 0xffff,
} as const;

/**
 * The value of the checksum field that marks an abort (PROTOCOL 5.6). In an empty data packet, the mark means
 * that the sender aborts the transfer. In an ACK, it means that the receiver will not keep the file; such an
 * ACK acknowledges nothing new. The mark is not the checksum of an empty payload, so a receiver that follows
 * the course text ignores the packet.
 */
export const abortMark = 0xdead;

/**
 * The value of the checksum field that marks an identify request and its answer (PROTOCOL 5.9). The request
 * is an empty data packet. The answer is an ACK with the last number that the receiver acknowledged. The mark
 * is not the checksum of an empty payload, so a receiver that follows the course text ignores the request.
 */
export const identifyMark = 0xc0de;

/** A packet with one segment of the file (PROTOCOL 2). */
export interface DataPacket {
  readonly kind: 'data';
  readonly sequence: number;
  readonly checksum: number;
  /**
   * Whether the type field marks the packet as the last data packet, as some other programs do (PROTOCOL
   * 6.3).
   */
  readonly isMarkedLast: boolean;
  /** A view into the datagram, not a copy. */
  readonly payload: Uint8Array;
}

/** A cumulative ACK: segments 0 to `sequence` have arrived (PROTOCOL 3.4). */
export interface AckPacket {
  readonly kind: 'ack';
  readonly sequence: number;
  /** The 16 bits that must be zero. */
  readonly reserved: number;
  /** Number of bytes after the header, which should be 0. */
  readonly trailingBytes: number;
}

/**
 * A packet of type 0xFFFF, which some programs send to mark the end. The receiver answers with a copy of the
 * packet's header (PROTOCOL 6.2).
 */
export interface EndPacket {
  readonly kind: 'end';
  readonly sequence: number;
}

/** Any decoded P2MP-FTP packet. */
export type Packet = DataPacket | AckPacket | EndPacket;

/** Why a datagram could not be decoded. */
export type DecodeFault = 'too-short' | 'unknown-type';

/**
 * Decodes a datagram; never throws.
 * @returns the packet, or the name of the fault; a payload is a view into `bytes`
 * @example
 * ```ts
 * import { decode, encodeAck } from 'p2mp/core';
 *
 * const packet = decode(encodeAck(7));
 * if (typeof packet !== 'string') console.log(packet.kind, packet.sequence); // ack 7
 * console.log(decode(new Uint8Array(3))); // too-short
 * ```
 */
export function decode(bytes: Uint8Array): Packet | DecodeFault {
  if (bytes.length < headerSizeBytes) return 'too-short';
  const sequence = readUint32(bytes, fieldOffset.sequence);
  const checksum = readUint16(bytes, fieldOffset.checksum);
  const type = readUint16(bytes, fieldOffset.type);
  switch (type) {
    case packetType.data:
    case packetType.lastData:
    case packetType.otherLastData:
      return {
        kind: 'data',
        sequence,
        checksum,
        isMarkedLast: type !== packetType.data,
        payload: bytes.subarray(fieldOffset.payload),
      };
    case packetType.ack:
      return {
        kind: 'ack',
        sequence,
        reserved: checksum,
        trailingBytes: bytes.length - headerSizeBytes,
      };
    case packetType.end:
      return { kind: 'end', sequence };
    default:
      return 'unknown-type';
  }
}

/**
 * Result of verifying a data packet's checksum. `good-odd-low` means that the checksum is correct only if the
 * odd last byte is placed in the low half of its word.
 */
export type PayloadCheck = 'good' | 'good-odd-low' | 'bad';

/**
 * Verifies the checksum of a packet's payload. If the size is odd, both ways to pad the last byte are
 * accepted (PROTOCOL 2.3, 6.5).
 * @example
 * ```ts
 * import { checkPayload, decode, encodeData } from 'p2mp/core';
 *
 * const packet = decode(encodeData(0, Uint8Array.of(1, 2, 3)));
 * if (typeof packet !== 'string' && packet.kind === 'data') console.log(checkPayload(packet)); // good
 * ```
 */
export function checkPayload(packet: DataPacket): PayloadCheck {
  if (sameChecksum(internetChecksum(packet.payload), packet.checksum)) return 'good';
  const isOdd = packet.payload.length % 2 === 1;
  if (isOdd && sameChecksum(internetChecksum(packet.payload, 'low'), packet.checksum)) {
    return 'good-odd-low';
  }
  return 'bad';
}

/**
 * Whether a data packet announces that the sender aborted the transfer (PROTOCOL 5.6).
 * @example
 * ```ts
 * import { decode, encodeData, isAbortMarker } from 'p2mp/core';
 *
 * const packet = decode(encodeData(3, new Uint8Array(0)));
 * if (typeof packet !== 'string' && packet.kind === 'data') console.log(isAbortMarker(packet)); // false
 * ```
 */
export function isAbortMarker(packet: DataPacket): boolean {
  return packet.payload.length === 0 && packet.checksum === abortMark;
}

/**
 * Whether a data packet is an identify request (PROTOCOL 5.9).
 * @example
 * ```ts
 * import { decode, encodeData, isIdentifyMarker } from 'p2mp/core';
 *
 * const packet = decode(encodeData(3, new Uint8Array(0)));
 * if (typeof packet !== 'string' && packet.kind === 'data') console.log(isIdentifyMarker(packet)); // false
 * ```
 */
export function isIdentifyMarker(packet: DataPacket): boolean {
  return packet.payload.length === 0 && packet.checksum === identifyMark;
}

/**
 * Encodes a data packet with a copy of `payload`. A packet with an empty payload is the end marker (PROTOCOL 5.2).
 * @example
 * ```ts
 * import { encodeData } from 'p2mp/core';
 *
 * console.log(encodeData(0, new TextEncoder().encode('abc')).length); // 11
 * ```
 */
export function encodeData(sequence: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerSizeBytes + payload.length);
  bytes.set(payload, fieldOffset.payload);
  writeHeader(bytes, sequence, internetChecksum(payload), packetType.data);
  return bytes;
}

/**
 * Encodes the packet with which a sender aborts a transfer.
 * @example
 * ```ts
 * import { decode, encodeAbort, isAbortMarker } from 'p2mp/core';
 *
 * const packet = decode(encodeAbort(3));
 * if (typeof packet !== 'string' && packet.kind === 'data') console.log(isAbortMarker(packet)); // true
 * ```
 */
export function encodeAbort(sequence: number): Uint8Array {
  return encodeHeader(sequence, abortMark, packetType.data);
}

/**
 * Encodes an identify request; `sequence` is the end marker's number.
 * @example
 * ```ts
 * import { decode, encodeIdentify, isIdentifyMarker } from 'p2mp/core';
 *
 * const packet = decode(encodeIdentify(3));
 * if (typeof packet !== 'string' && packet.kind === 'data') console.log(isIdentifyMarker(packet)); // true
 * ```
 */
export function encodeIdentify(sequence: number): Uint8Array {
  return encodeHeader(sequence, identifyMark, packetType.data);
}

/**
 * Encodes the answer to an identify request; `sequence` is the last number acknowledged, if any.
 * @example
 * ```ts
 * import { decode, encodeIdentifyAck, identifyMark } from 'p2mp/core';
 *
 * const packet = decode(encodeIdentifyAck(3));
 * if (typeof packet !== 'string' && packet.kind === 'ack') console.log(packet.reserved === identifyMark); // true
 * ```
 */
export function encodeIdentifyAck(sequence: number | undefined): Uint8Array {
  return encodeHeader(sequence ?? 0xffffffff, identifyMark, packetType.ack);
}

/**
 * Encodes the ACK with which a receiver aborts a transfer and revokes its earlier ACKs; `sequence` is the
 * last number acknowledged, if any.
 * @example
 * ```ts
 * import { abortMark, decode, encodeAbortAck } from 'p2mp/core';
 *
 * const packet = decode(encodeAbortAck(3));
 * if (typeof packet !== 'string' && packet.kind === 'ack') console.log(packet.reserved === abortMark); // true
 * ```
 */
export function encodeAbortAck(sequence: number | undefined): Uint8Array {
  return encodeHeader(sequence ?? 0xffffffff, abortMark, packetType.ack);
}

/**
 * Encodes an ACK of segments 0 to `sequence` (PROTOCOL 3.4).
 * @example
 * ```ts
 * import { encodeAck } from 'p2mp/core';
 *
 * console.log([...encodeAck(1)].join(' ')); // 0 0 0 1 0 0 170 170
 * ```
 */
export function encodeAck(sequence: number): Uint8Array {
  return encodeHeader(sequence, 0, packetType.ack);
}

/**
 * Encodes the answer to a packet of type 0xFFFF: a copy of that packet's header, without any payload
 * (PROTOCOL 6.2).
 * @example
 * ```ts
 * import { copyHeader, encodeData } from 'p2mp/core';
 *
 * console.log(copyHeader(encodeData(0, Uint8Array.of(1, 2, 3))).length); // 8
 * ```
 */
export function copyHeader(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.subarray(0, headerSizeBytes));
}

/**
 * Describes a packet in one line for people: its kind, number, sizes and any deviation from the protocol.
 * @example
 * ```ts
 * import { describe, encodeAck } from 'p2mp/core';
 *
 * console.log(describe(encodeAck(7))); // ACK of 7
 * ```
 */
export function describe(bytes: Uint8Array): string {
  const packet = decode(bytes);
  if (typeof packet === 'string') {
    const head = hex(bytes.subarray(0, 16));
    return `${packet}: ${bytes.length} bytes${head === '' ? '' : `, starting ${head}`}`;
  }
  switch (packet.kind) {
    case 'data':
      return describeData(packet);
    case 'ack': {
      if (packet.reserved === abortMark) return 'abort by the receiver';
      if (packet.reserved === identifyMark) return `p2mp receiver at ${packet.sequence}`;
      const oddities = [
        packet.reserved === 0
          ? ''
          : `, reserved bits ${formatHex16(packet.reserved)} instead of zero`,
        packet.trailingBytes === 0 ? '' : `, ${packet.trailingBytes} bytes after the header`,
      ];
      return `ACK of ${packet.sequence}${oddities.join('')}`;
    }
    case 'end':
      return `end (type 0xffff), sequence ${packet.sequence}, ${bytes.length} bytes`;
  }
}

function describeData(packet: DataPacket): string {
  const { sequence, payload } = packet;
  if (isAbortMarker(packet)) return `abort at ${sequence}`;
  if (isIdentifyMarker(packet)) return `identify request at ${sequence}`;
  const check = checkPayload(packet);
  const verdict =
    check === 'good'
      ? 'good'
      : check === 'good-odd-low'
        ? 'good with the odd byte in the low half'
        : `bad, ${formatHex16(internetChecksum(payload))} expected`;
  const name = packet.isMarkedLast ? 'last data' : payload.length === 0 ? 'end marker' : 'data';
  const content = payload.length === 0 ? '' : `, crc32 ${formatCrc32(payload)}`;
  return `${name} ${sequence}, ${payload.length} bytes${content}, checksum ${formatHex16(packet.checksum)} ${verdict}`;
}

function encodeHeader(sequence: number, checksum: number, type: number): Uint8Array {
  const bytes = new Uint8Array(headerSizeBytes);
  writeHeader(bytes, sequence, checksum, type);
  return bytes;
}

function writeHeader(bytes: Uint8Array, sequence: number, checksum: number, type: number): void {
  writeUint32(bytes, fieldOffset.sequence, sequence);
  writeUint16(bytes, fieldOffset.checksum, checksum);
  writeUint16(bytes, fieldOffset.type, type);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
