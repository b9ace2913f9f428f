/**
 * Datagrams of the session protocol (SESSIONS 2): a header of 16 bytes in network byte order, then the body.
 * `decodeSession` never throws: it returns a packet or the name of the fault.
 */
import { readUint16, readUint32, writeUint16, writeUint32 } from '../base/network-order.js';
import { tagSizeBytes } from './sizes.js';

/**
 * The protocol version. Every handshake packet carries it in the header, so that both sides detect a version
 * mismatch at once.
 */
export const protocolVersion = 2;

/** Size of the header in front of the body (SESSIONS 2). */
export const sessionHeaderSizeBytes = 16;

/**
 * The type field of the session protocol, "P2". It differs from every type of P2MP-FTP, so that one port can
 * serve both protocols.
 */
export const sessionType = 0x5032;

/**
 * The receiver number of a handshake that the receiver began, and of its channel. The session number of such datagrams
 * is a channel number, which the receiver drew (SESSIONS 9).
 */
export const askerNumber = 65_535;

/** Offset of each field in bytes. From offset 8 on, the fields depend on the kind of datagram. */
export const sessionField = {
  session: 0,
  kind: 4,
  /** The version in handshake packets, the generation in data datagrams. */
  detail: 5,
  type: 6,
  receiver: 8,
  /** Size of the body. This size is needed to split datagrams that were received together. */
  bodySize: 10,
  counter: 12,
  block: 8,
  segment: 12,
  flags: 13,
  burst: 14,
} as const;

/** Values of the kind field (SESSIONS 2). */
export const sessionKind = {
  /**
   * The sender asks whether the receiver is reachable. A hello is no smaller than its answer, so it cannot be
   * used for amplification.
   */
  hello: 1,
  /** The receiver asks the sender to prove that it receives packets at its address. */
  cookie: 2,
  /** The sender returns the cookie and sends the first message of the handshake. */
  open: 3,
  /** The receiver sends the second message of the handshake. */
  reply: 4,
  /** The sender sends the third message of the handshake. */
  proof: 5,
  /** A message on the channel between the sender and one receiver. */
  control: 6,
  /** A segment of a sealed block. */
  data: 7,
  /** A segment of a sealed block, with a tag of its own. */
  taggedData: 8,
  /** The sender tests which receivers multicast reaches. */
  probe: 9,
} as const;

/** Flags of data. */
export const dataFlag = {
  /** The last datagram of this burst. */
  endOfBurst: 1,
} as const;

/** The number of the path by which data was sent, in two bits of its flags. */
export function pathOfFlags(flags: number): number {
  return (flags >>> 1) & 3;
}

/** The flags of data that is sent by this path. */
export function flagsOfPath(path: number): number {
  return path << 1;
}

/** A handshake packet (hello, cookie, open, reply, proof) or a control message. */
export interface ChannelPacket {
  readonly kind: 'hello' | 'cookie' | 'open' | 'reply' | 'proof' | 'control';
  /** The number of the session; in a channel that the receiver began, the number of the channel. */
  readonly session: number;
  readonly version: number;
  /** The sender's number for this receiver; `askerNumber` in a channel that the receiver began. */
  readonly receiver: number;
  /** In a handshake packet, a nonce that the answer repeats. In a control message, the message number. */
  readonly counter: number;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** A datagram with one segment of a sealed block (SESSIONS 2). */
export interface BlockPacket {
  readonly kind: 'data' | 'tagged-data';
  readonly session: number;
  readonly generation: number;
  readonly block: number;
  readonly segment: number;
  readonly flags: number;
  readonly burst: number;
  readonly header: Uint8Array;
  /** A piece of the sealed block. */
  readonly body: Uint8Array;
  /** The tag of a `tagged-data` packet; empty in a `data` packet. */
  readonly tag: Uint8Array;
}

/**
 * A datagram to the multicast group, authenticated by a tag in its body. Receivers report that it arrived.
 */
export interface ProbePacket {
  readonly kind: 'probe';
  readonly session: number;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** Any decoded datagram of the session protocol. */
export type SessionPacket = ChannelPacket | BlockPacket | ProbePacket;
/** Why a datagram could not be decoded. */
export type SessionDecodeFault = 'too-short' | 'unknown-type' | 'unknown-kind';

const channelKinds = {
  [sessionKind.hello]: 'hello',
  [sessionKind.cookie]: 'cookie',
  [sessionKind.open]: 'open',
  [sessionKind.reply]: 'reply',
  [sessionKind.proof]: 'proof',
  [sessionKind.control]: 'control',
} as const;

/**
 * Whether a datagram belongs to the session protocol, judged by its type field alone.
 * @example
 * ```ts
 * import { encodeAck, isSessionDatagram } from 'p2mp/core';
 *
 * console.log(isSessionDatagram(encodeAck(0))); // false
 * ```
 */
export function isSessionDatagram(bytes: Uint8Array, offset = 0): boolean {
  return (
    bytes.length >= offset + 8 &&
    bytes[offset + 6] === sessionType >>> 8 &&
    bytes[offset + 7] === (sessionType & 0xff)
  );
}

/** Whether the datagram at this offset is data, tagged or not. */
export function isBlockDatagram(bytes: Uint8Array, offset: number): boolean {
  if (bytes.length <= offset + sessionHeaderSizeBytes) return false;
  const kind = bytes[offset + sessionField.kind];
  const isBlock = kind === sessionKind.data || kind === sessionKind.taggedData;
  return isBlock && isSessionDatagram(bytes, offset);
}

/**
 * The size of the datagram at `offset`, when `bytes` holds several datagrams that were received together. If
 * this size cannot be determined, returns the size of everything from `offset` on. Not for data datagrams:
 * their size depends on the geometry of the session.
 */
export function channelDatagramSize(bytes: Uint8Array, offset: number): number {
  const leftBytes = bytes.length - offset;
  if (leftBytes <= sessionHeaderSizeBytes || !isSessionDatagram(bytes, offset)) return leftBytes;
  const isProbe = bytes[offset + sessionField.kind] === sessionKind.probe;
  const bodyBytes = isProbe ? tagSizeBytes : readUint16(bytes, offset + sessionField.bodySize);
  return Math.min(leftBytes, sessionHeaderSizeBytes + bodyBytes);
}

/**
 * Decodes a datagram; never throws.
 * @returns the packet, or the name of the fault; bodies are views into `bytes`
 * @example
 * ```ts
 * import { decodeSession, encodeChannelPacket } from 'p2mp/core';
 *
 * const packet = decodeSession(encodeChannelPacket('hello', 5, 0, 1, new Uint8Array(48)));
 * if (typeof packet !== 'string') console.log(packet.kind, packet.session); // hello 5
 * console.log(decodeSession(new Uint8Array(3))); // too-short
 * ```
 */
export function decodeSession(bytes: Uint8Array): SessionPacket | SessionDecodeFault {
  if (bytes.length < sessionHeaderSizeBytes) return 'too-short';
  if (!isSessionDatagram(bytes)) return 'unknown-type';
  const session = readUint32(bytes, sessionField.session);
  const kind = bytes[sessionField.kind] as number;
  const detail = bytes[sessionField.detail] as number;
  const header = bytes.subarray(0, sessionHeaderSizeBytes);
  if (kind === sessionKind.data || kind === sessionKind.taggedData) {
    const isTagged = kind === sessionKind.taggedData;
    const end = bytes.length - (isTagged ? tagSizeBytes : 0);
    if (end <= sessionHeaderSizeBytes) return 'too-short';
    return {
      kind: isTagged ? 'tagged-data' : 'data',
      session,
      generation: detail,
      block: readUint32(bytes, sessionField.block),
      segment: bytes[sessionField.segment] as number,
      flags: bytes[sessionField.flags] as number,
      burst: readUint16(bytes, sessionField.burst),
      header,
      body: bytes.subarray(sessionHeaderSizeBytes, end),
      tag: bytes.subarray(end),
    };
  }
  const body = bytes.subarray(sessionHeaderSizeBytes);
  if (kind === sessionKind.probe) return { kind: 'probe', session, header, body };
  const name = channelKinds[kind as keyof typeof channelKinds];
  if (name === undefined) return 'unknown-kind';
  if (body.length !== readUint16(bytes, sessionField.bodySize)) return 'too-short';
  return {
    kind: name,
    session,
    version: detail,
    receiver: readUint16(bytes, sessionField.receiver),
    counter: readUint32(bytes, sessionField.counter),
    header,
    body,
  };
}

/** Encodes the header of a packet between the sender and one receiver. */
export function encodeChannelHeader(
  kind: ChannelPacket['kind'],
  session: number,
  receiver: number,
  counter: number,
  bodySizeBytes: number,
): Uint8Array {
  const bytes = new Uint8Array(sessionHeaderSizeBytes);
  writeCommon(bytes, 0, session, sessionKind[kind], protocolVersion);
  writeUint16(bytes, sessionField.receiver, receiver);
  writeUint16(bytes, sessionField.bodySize, bodySizeBytes);
  writeUint32(bytes, sessionField.counter, counter);
  return bytes;
}

/**
 * Encodes a handshake packet or a sealed control message (SESSIONS 2).
 * @example
 * ```ts
 * import { encodeChannelPacket, sessionHeaderSizeBytes } from 'p2mp/core';
 *
 * const { length } = encodeChannelPacket('cookie', 5, 0, 1, new Uint8Array(32));
 * console.log(length - sessionHeaderSizeBytes); // 32
 * ```
 */
export function encodeChannelPacket(
  kind: ChannelPacket['kind'],
  session: number,
  receiver: number,
  counter: number,
  body: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(sessionHeaderSizeBytes + body.length);
  bytes.set(encodeChannelHeader(kind, session, receiver, counter, body.length));
  bytes.set(body, sessionHeaderSizeBytes);
  return bytes;
}

/** Writes the header of a segment into `bytes` at `offset`. */
export function writeBlockHeader(
  bytes: Uint8Array,
  offset: number,
  isTagged: boolean,
  fields: {
    readonly session: number;
    readonly generation: number;
    readonly block: number;
    readonly segment: number;
    readonly flags: number;
    readonly burst: number;
  },
): void {
  const kind = isTagged ? sessionKind.taggedData : sessionKind.data;
  writeCommon(bytes, offset, fields.session, kind, fields.generation);
  writeUint32(bytes, offset + sessionField.block, fields.block);
  bytes[offset + sessionField.segment] = fields.segment;
  bytes[offset + sessionField.flags] = fields.flags;
  writeUint16(bytes, offset + sessionField.burst, fields.burst);
}

/** Encodes the header of a probe. The body of a probe is a tag over this header. */
export function encodeProbeHeader(session: number): Uint8Array {
  const bytes = new Uint8Array(sessionHeaderSizeBytes);
  writeCommon(bytes, 0, session, sessionKind.probe, protocolVersion);
  return bytes;
}

/**
 * Describes a datagram in one line.
 * @example
 * ```ts
 * import { describeSession, encodeChannelPacket } from 'p2mp/core';
 *
 * const hello = encodeChannelPacket('hello', 5, 0, 1, new Uint8Array(48));
 * console.log(describeSession(hello)); // hello 00000005: receiver 0, number 1, 48 bytes
 * ```
 */
export function describeSession(bytes: Uint8Array): string {
  const packet = decodeSession(bytes);
  if (typeof packet === 'string') return `${packet}: ${bytes.length} bytes`;
  const session = packet.session.toString(16).padStart(8, '0');
  switch (packet.kind) {
    case 'data':
    case 'tagged-data': {
      const { kind, block, segment, generation, burst, body, flags } = packet;
      const end = (flags & dataFlag.endOfBurst) === 0 ? '' : ', end of burst';
      const path = pathOfFlags(flags) === 0 ? '' : `, path ${pathOfFlags(flags)}`;
      return `${kind} ${session}: block ${block}.${generation}, segment ${segment}, ${body.length} bytes, burst ${burst}${path}${end}`;
    }
    case 'probe':
      return `probe ${session}`;
    default: {
      const { kind, receiver, counter, body } = packet;
      return `${kind} ${session}: receiver ${receiver}, number ${counter}, ${body.length} bytes`;
    }
  }
}

/**
 * Number of bursts by which `a` is ahead of `b`; negative if `a` is older. Burst numbers wrap around after 16
 * bits.
 */
export function burstsAhead(a: number, b: number): number {
  return (((a - b) & 0xffff) << 16) >> 16;
}

function writeCommon(
  bytes: Uint8Array,
  offset: number,
  session: number,
  kind: number,
  detail: number,
): void {
  writeUint32(bytes, offset + sessionField.session, session);
  bytes[offset + sessionField.kind] = kind;
  bytes[offset + sessionField.detail] = detail;
  writeUint16(bytes, offset + sessionField.type, sessionType);
}
