/**
 * Diagnoses the likely mistake of a program whose packets are rejected, to help the program's author
 * (PROTOCOL 6.8). Examines one packet at a time and recognizes common mistakes.
 */
import { internetChecksum } from '../../base/checksum.js';
import { formatHex16, formatPlural } from '../../base/format.js';
import { readUint16 } from '../../base/network-order.js';
import type { DataPacket } from '../../packet.js';
import { fieldOffset, headerSizeBytes } from '../../packet.js';
import { explainChecksum } from './checksum-diagnosis.js';
import { numberingMistake } from './numbering.js';

/** The part of the protocol that a peer gets wrong. */
export type DiagnosisKind =
  /**
   * `format`: the datagram is not an 8-byte header followed by data. For example, it is text or is too short.
   */
  'format' | 'type' | 'checksum' | 'numbering';

/** The likely mistake of a peer that does not follow the protocol, and the evidence. */
export interface Diagnosis {
  readonly kind: DiagnosisKind;
  /** What arrived, what the protocol requires, and the likely mistake. Each is a short phrase. */
  readonly arrived: string;
  readonly required: string;
  readonly cause: string;
}

/** Reports a diagnosis of a peer's rejected packets. */
export interface DiagnosisEvent extends Diagnosis {
  readonly type: 'diagnosis';
  readonly from: string;
}

const required = {
  format:
    'one packet in each datagram: sequence number (4 bytes), checksum (2 bytes) and type (2 bytes) as binary numbers with the high byte first, followed by the data (PROTOCOL 2.1)',
  type: '0x5555 (0101010101010101 in binary) in bytes 6 and 7 of a data packet (PROTOCOL 2.2)',
  checksum:
    "the one's complement of the one's complement sum of the data's 16-bit words; data of odd length is padded with a zero byte (PROTOCOL 2.3)",
  numbering: 'segments numbered 0, 1, 2, …, one number for each segment (PROTOCOL 3.1)',
} as const;

/** Diagnoses a datagram of an unknown type, or of a type that a sender never sends. */
export function diagnoseFormat(bytes: Uint8Array): Diagnosis {
  const cause = formatMistake(bytes);
  if (cause !== undefined) {
    return { kind: 'format', arrived: sizeAndHead(bytes), required: required.format, cause };
  }
  const type = readUint16(bytes, fieldOffset.type);
  const arrived = `a packet of type ${formatHex16(type)}, ${formatPlural(bytes.length, 'byte')}`;
  return { kind: 'type', arrived, required: required.type, cause: typeMistake(type) };
}

/**
 * Diagnoses a data packet with a wrong checksum.
 * @param bytes the datagram
 */
export function diagnoseChecksum(packet: DataPacket, bytes: Uint8Array): Diagnosis {
  const { sequence, payload, checksum } = packet;
  const right = formatHex16(internetChecksum(payload));
  const size = formatPlural(payload.length, 'byte');
  const unknown =
    'no common mistake explains this value; was the checksum computed from the same data that was sent?';
  return {
    kind: 'checksum',
    arrived: `data packet ${sequence} with ${size} and checksum ${formatHex16(checksum)}, but the correct checksum of this data is ${right}`,
    required: required.checksum,
    cause: explainChecksum(packet, bytes.subarray(0, headerSizeBytes)) ?? unknown,
  };
}

/** Diagnoses a packet that repeatedly arrives with an unexpected number. */
export function diagnoseNumber(packet: DataPacket, expected: number, sizeBytes: number): Diagnosis {
  const unseen =
    'the beginning of this transfer did not arrive; was the server started or restarted after the sender?';
  return {
    kind: 'numbering',
    arrived: `data packet ${packet.sequence}, several times, but packet ${expected} is expected`,
    required: required.numbering,
    cause: numberingMistake(packet.sequence, expected, sizeBytes) ?? unseen,
  };
}

/** Diagnoses packets that reuse the number of an already received segment for different data. */
export function diagnoseReuse({ sequence }: DataPacket): Diagnosis {
  return {
    kind: 'numbering',
    arrived: `data packet ${sequence}, several times, but with other data than the first packet of that number`,
    required: required.numbering,
    cause: 'the sender gives several segments the same number, as an alternating bit does',
  };
}

/** @returns the likely mistake in the format; undefined if there is no known mistake */
function formatMistake(bytes: Uint8Array): string | undefined {
  const isTyped = indexOfType(bytes) === fieldOffset.type;
  if (isTyped && bytes.length >= headerSizeBytes) return undefined;
  const serialized = serializations.find(({ head }) => head.every((byte, i) => bytes[i] === byte));
  if (serialized !== undefined && bytes.length > headerSizeBytes) {
    return `the packet is an object serialized by ${serialized.by}`;
  }
  if (bytes.length > 0 && isText(bytes.subarray(0, headerSizeBytes))) return textMistake(bytes);
  if (bytes.length < headerSizeBytes)
    return 'the datagram is shorter than the 8-byte header: the header is incomplete, or was sent in parts';
  const place = indexOfType(bytes);
  return place === undefined ? undefined : layoutMistakes[place];
}

function textMistake(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, 64));
  const isHeader = /^[\s\d[({]/.test(text) || /0101010101010101|5555|21845/.test(text);
  return isHeader
    ? 'the header is written as text, but its fields are binary numbers'
    : 'the header is missing: the datagram begins with the data';
}

const serializations = [
  ...[2, 3, 4, 5].map((version) => ({ head: [0x80, version], by: "Python's pickle" })),
  { head: [0xac, 0xed, 0, 5], by: "Java's ObjectOutputStream" },
];

/** Likely mistakes, keyed by the offset at which the packet has 0x5555. */
const layoutMistakes: Readonly<Record<number, string>> = {
  0: 'the type is the first field, but must be the last',
  2: 'the sequence number has 2 bytes instead of 4, or fields are missing',
  4: 'the type comes before the checksum, but must come after it',
  8: 'the header is 2 bytes too long: one field has too many bytes',
  10: 'the header is 4 bytes too long: one field has 8 bytes, or the compiler pads the structure',
};

/** Offset of the type 0x5555 in a datagram; undefined if it is at none of the likely offsets. */
function indexOfType(bytes: Uint8Array): number | undefined {
  const places = [fieldOffset.type, ...Object.keys(layoutMistakes).map(Number)];
  return places.find((place) => bytes[place] === 0x55 && bytes[place + 1] === 0x55);
}

function typeMistake(type: number): string {
  switch (type) {
    case 0:
      return 'the type is left out: its field is 0';
    case 5555:
    case 0xb315:
      return 'the type is 5555 as a decimal number, but must be hexadecimal';
    case 0xaaaa:
      return 'data is sent with the type of an ACK';
    case 0xffff:
      return 'data is sent with type 0xFFFF, which some programs use to mark the end of a file';
    default:
      return 'the type is not the one that the protocol requires for data';
  }
}

function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a);
}

function sizeAndHead(bytes: Uint8Array): string {
  const head = Array.from(bytes.subarray(0, 12), (byte) => byte.toString(16).padStart(2, '0'));
  const text = isText(bytes.subarray(0, 12))
    ? ` (${JSON.stringify(String.fromCharCode(...bytes.subarray(0, 12)))})`
    : '';
  const beginning = head.length === 0 ? '' : `, beginning with ${head.join(' ')}${text}`;
  return `a datagram of ${formatPlural(bytes.length, 'byte')}${beginning}`;
}
