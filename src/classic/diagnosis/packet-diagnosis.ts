/**
 * If the packets of a program are rejected, diagnoses its likely mistake for its author (PROTOCOL 6.8). Looks at one
 * packet at a time and recognizes common mistakes.
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
  /** `format`: the datagram is text, a serialized object or too short, and not an 8-byte header followed by data. */
  'format' | 'type' | 'checksum' | 'numbering';

/** A conclusion about a peer that does not follow the protocol, and the evidence. */
export interface Diagnosis {
  readonly kind: DiagnosisKind;
  /** What arrived, what the protocol requires, and the likely mistake. Each is one sentence. */
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
    'one packet in each datagram: 4 bytes sequence number, 2 bytes checksum, 2 bytes type, as binary numbers with the high byte first; then the data (PROTOCOL 2.1)',
  type: '0x5555 (0101010101010101 in binary) in bytes 6 and 7 of a data packet (PROTOCOL 2.2)',
  checksum:
    "the one's complement of the one's complement sum of the data's 16-bit words, an odd length padded with a zero byte (PROTOCOL 2.3)",
  numbering: 'segments numbered 0, 1, 2, …, one for each segment (PROTOCOL 3.1)',
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
    'none of the usual mistakes gives this value; are the data the same that were summed?';
  return {
    kind: 'checksum',
    arrived: `data packet ${sequence} with ${size} and checksum ${formatHex16(checksum)}, where these data have ${right}`,
    required: required.checksum,
    cause: explainChecksum(packet, bytes.subarray(0, headerSizeBytes)) ?? unknown,
  };
}

/** Diagnoses a packet that repeatedly arrives with an unexpected number. */
export function diagnoseNumber(packet: DataPacket, expected: number, sizeBytes: number): Diagnosis {
  const unseen =
    'the beginning of this transfer was not seen: was the server started later than its sender, or again?';
  return {
    kind: 'numbering',
    arrived: `data packet ${packet.sequence}, several times, where ${expected} is expected`,
    required: required.numbering,
    cause: numberingMistake(packet.sequence, expected, sizeBytes) ?? unseen,
  };
}

/** Diagnoses different data sent under the number of a segment already received. */
export function diagnoseReuse({ sequence }: DataPacket): Diagnosis {
  return {
    kind: 'numbering',
    arrived: `data packet ${sequence}, several times, with other data than the first one of that number`,
    required: required.numbering,
    cause: 'its sender gives several segments the same number, as with a bit that alternates',
  };
}

/** @returns undefined if the header is binary and has the right length */
function formatMistake(bytes: Uint8Array): string | undefined {
  const isTyped = indexOfType(bytes) === fieldOffset.type;
  if (isTyped && bytes.length >= headerSizeBytes) return undefined;
  const serialized = serializations.find(({ head }) => head.every((byte, i) => bytes[i] === byte));
  if (serialized !== undefined && bytes.length > headerSizeBytes) {
    return `the packet is an object that was serialized by ${serialized.by}`;
  }
  if (bytes.length > 0 && isText(bytes.subarray(0, headerSizeBytes))) return textMistake(bytes);
  if (bytes.length < headerSizeBytes)
    return 'the header is shorter than its 8 bytes, or was sent by itself';
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
  ...[2, 3, 4, 5].map((version) => ({ head: [0x80, version], by: 'pickle of Python' })),
  { head: [0xac, 0xed, 0, 5], by: 'ObjectOutputStream of Java' },
];

/** The likely mistake by the offset at which 0x5555 is found. */
const layoutMistakes: Readonly<Record<number, string>> = {
  0: 'the type is the first field, but must be the last',
  2: 'the sequence number has 2 bytes, but must have 4, or fields are missing',
  4: 'the type comes before the checksum, but must come after it',
  8: 'the header is 2 bytes too long: one field has more bytes than it should',
  10: 'the header is 4 bytes too long: one field has 8 bytes, or the compiler fills up the structure',
};

/** Offset of a data packet's type; undefined if it is in none of the likely places. */
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
      return 'the type is 5555 as a decimal number, but it is hexadecimal';
    case 0xaaaa:
      return 'data are sent with the type of an ACK';
    case 0xffff:
      return 'data are sent with type 0xFFFF, by which some programs mark their end';
    default:
      return 'the type has another value than the protocol gives data';
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
