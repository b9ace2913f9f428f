/** The messages that the sender and one receiver exchange on their channel (SESSIONS 4). */
import type { Address } from '../base/address.js';
import type { Ask, List, ListRequest, Preparing } from './asks.js';
import { readAsk, readList, writeAsk, writeList } from './asks.js';
import { ByteReader, ByteWriter } from './byte-codec.js';
import type { Done } from './done.js';
import { readDone, writeDone } from './done.js';
import type { EnvelopeRequest } from './envelope-request.js';
import { readEnvelopeRequest, writeEnvelopeRequest } from './envelope-request.js';
import type { ExchangeMessage } from './exchange.js';
import { readExchange, writeExchange } from './exchange.js';
import { readLine, shortened } from './lines.js';
import type { Extras, Kept, Noted } from './lists.js';
import { readExtras, readKept, readSpared, writeParts } from './lists.js';
import type { Offer } from './offer.js';
import { readOffer, writeOffer } from './offer.js';
import type { AddressChange, AddressesNoted, PathChallenge, PathResponse } from './paths.js';
import {
  readAddresses,
  readPathChallenge,
  readPathResponse,
  writeAddresses,
  writePathChallenge,
  writePathResponse,
} from './paths.js';
import type { Behind, BehindNoted, EnvelopeMessage } from './relayed.js';
import { readBehind, readBehindNoted, writeBehind, writeBehindNoted } from './relayed.js';
import type { Report } from './report.js';
import { readReport, writeReport } from './report.js';
import { challengeSizeBytes, digestSizeBytes } from './sizes.js';
import type { Nodes, NodesRequest } from './tree-nodes.js';
import { readNodes, writeNodes } from './tree-nodes.js';
import type { Withdrawn } from './withdrawn.js';
import { readWithdrawn, writeWithdrawn } from './withdrawn.js';

/** The receiver accepts the offer. */
export interface Accept {
  readonly kind: 'accept';
  /** The receiver's name for itself. */
  readonly name: string;
  /** If the object is relayed: a random number for the envelope of its origin. */
  readonly challenge?: Uint8Array;
  /** Addresses at which the receiver can be reached, for further paths; missing if there are none. */
  readonly addresses?: readonly Address[];
}

/** The receiver refuses the session. */
export interface Refuse {
  readonly kind: 'refuse';
  readonly reason: string;
  /** Whether the receiver is about to restart and might accept the object afterwards. */
  readonly isTemporary: boolean;
  /** The number under which this receiver already takes part, if the sender lists the receiver twice. */
  readonly sameAs?: number;
}

/** The receiver reports what it has and what is missing (SESSIONS 5). */
export interface ReportMessage {
  readonly kind: 'report';
  readonly report: Report;
}

/** The sender requests a report. */
export interface Poll {
  readonly kind: 'poll';
  /** The last burst that has been sent completely; undefined until data has been sent. */
  readonly burst: number | undefined;
  /** Whether every data datagram carries a tag from now on, because forged data was detected. */
  readonly hasTags: boolean;
  /**
   * Whether the sender serves the receiver by unicast from now on, so that the receiver should leave the
   * group.
   */
  readonly leavesGroup: boolean;
  /** Minimum time between reports, for a slow return path; 0 for no minimum. */
  readonly reportGapMs: number;
}

/** The root of the receiver: the content root without the blocks that it keeps, and without withdrawn ones. */
export interface Root {
  readonly kind: 'root';
  readonly digest: Uint8Array;
  /** How many entries are withdrawn; missing if none is. The receiver must know all of them to compare the root. */
  readonly withdrawnEntries?: number;
}

/** The sender's last message. It confirms the outcome or ends the session. */
export interface Bye {
  readonly kind: 'bye';
  readonly reason: string;
  /** Whether the object will never be offered again, so that an incomplete copy is useless. */
  readonly isFinal: boolean;
}

export type { Done } from './done.js';

/** Any message on the channel between the sender and one receiver. */
export type Message =
  | Offer
  | Accept
  | Refuse
  | ReportMessage
  | Poll
  | Root
  | NodesRequest
  | Nodes
  | Done
  | Bye
  | Kept
  | Extras
  | Noted
  | Ask
  | Preparing
  | ListRequest
  | List
  | Behind
  | BehindNoted
  | EnvelopeMessage
  | ExchangeMessage
  | Withdrawn
  | EnvelopeRequest
  | PathChallenge
  | PathResponse
  | AddressChange
  | AddressesNoted;

const kinds: readonly Message['kind'][] = [
  'offer',
  'accept',
  'refuse',
  'report',
  'poll',
  'root',
  'nodes-request',
  'nodes',
  'done',
  'bye',
  'kept',
  'extras',
  'noted',
  'ask',
  'preparing',
  'list-request',
  'list',
  'behind',
  'behind-noted',
  'envelope',
  'exchange',
  'withdrawn',
  'envelope-request',
  'path-challenge',
  'path-response',
  'addresses',
  'addresses-noted',
];

const none = new Uint8Array(0);

/** Kinds of refusal on the wire. */
const refusals = { final: 0, temporary: 1, same: 2 } as const;

const pollFlag = { hasBurst: 1, hasTags: 2, leavesGroup: 4 } as const;

/**
 * Encodes a message. Long texts are shortened, so that the message fits in one datagram.
 * @example
 * ```ts
 * import { encodeMessage } from 'p2mp/core';
 *
 * console.log(encodeMessage({ kind: 'accept', name: 'a' }).length); // 5
 * ```
 */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter().uint8(kinds.indexOf(message.kind));
  switch (message.kind) {
    case 'offer':
      writeOffer(writer, message);
      break;
    case 'accept':
      writer.text(shortened(message.name)).counted(message.challenge ?? none);
      writeAddresses(writer, message.addresses ?? []);
      break;
    case 'refuse':
      writer.text(shortened(message.reason));
      if (message.sameAs !== undefined) writer.uint8(refusals.same).uint16(message.sameAs);
      else writer.uint8(message.isTemporary ? refusals.temporary : refusals.final);
      break;
    case 'bye':
      writer.text(shortened(message.reason)).uint8(message.isFinal ? 1 : 0);
      break;
    case 'report':
      writeReport(writer, message.report);
      break;
    case 'poll':
      writePoll(writer, message);
      break;
    case 'root':
      writer.raw(message.digest).varint(message.withdrawnEntries ?? 0);
      break;
    case 'nodes-request':
    case 'nodes':
      writeNodes(writer, message);
      break;
    case 'done':
      writeDone(writer, message);
      break;
    case 'kept':
    case 'extras':
    case 'noted':
      writeParts(writer, message);
      break;
    case 'withdrawn':
      writeWithdrawn(writer, message);
      break;
    case 'path-challenge':
      writePathChallenge(writer, message);
      break;
    case 'path-response':
      writePathResponse(writer, message);
      break;
    case 'addresses':
      writeAddresses(writer.varint(message.number), message.addresses);
      break;
    case 'addresses-noted':
      writer.varint(message.number);
      break;
    default:
      writeRoleMessage(writer, message);
  }
  return writer.finish();
}

type RoleMessage =
  | Ask
  | Preparing
  | ListRequest
  | List
  | Behind
  | BehindNoted
  | EnvelopeMessage
  | ExchangeMessage
  | EnvelopeRequest;

/** Writes a message of a kind that only hosts that ask, relay or exchange use. */
function writeRoleMessage(writer: ByteWriter, message: RoleMessage): void {
  switch (message.kind) {
    case 'ask':
      writeAsk(writer, message);
      break;
    case 'preparing':
      writer.text(shortened(message.reason));
      break;
    case 'list-request':
      writer.text(message.after);
      break;
    case 'list':
      writeList(writer, message);
      break;
    case 'behind':
      writeBehind(writer, message);
      break;
    case 'behind-noted':
      writeBehindNoted(writer, message);
      break;
    case 'envelope':
      writer.counted(message.envelope);
      break;
    case 'exchange':
      writeExchange(writer, message);
      break;
    case 'envelope-request':
      writeEnvelopeRequest(writer, message);
      break;
  }
}

function writePoll(writer: ByteWriter, message: Poll): void {
  writer
    .uint8(
      (message.burst === undefined ? 0 : pollFlag.hasBurst) |
        (message.hasTags ? pollFlag.hasTags : 0) |
        (message.leavesGroup ? pollFlag.leavesGroup : 0),
    )
    .uint16(message.burst ?? 0)
    .varint(Math.round(message.reportGapMs * 1000));
}

/**
 * Decodes a message.
 * @returns the message; undefined if the bytes are not a message of this version
 * @example
 * ```ts
 * import { decodeMessage, encodeMessage } from 'p2mp/core';
 *
 * console.log(decodeMessage(encodeMessage({ kind: 'accept', name: 'a' }))?.kind); // accept
 * console.log(decodeMessage(Uint8Array.of(200))); // undefined
 * ```
 */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  const reader = new ByteReader(bytes);
  const kind = kinds[reader.uint8()];
  if (kind === undefined) return undefined;
  const message = readMessage(reader, kind);
  // Bytes after the last known field are ignored, because a later version might append fields.
  return reader.isGood ? message : undefined;
}

function readMessage(reader: ByteReader, kind: Message['kind']): Message | undefined {
  switch (kind) {
    case 'offer':
      return readOffer(reader);
    case 'accept':
      return readAccept(reader);
    case 'refuse':
      return readRefusal(reader);
    case 'bye':
      return { kind, reason: readLine(reader), isFinal: reader.uint8() === 1 };
    case 'report': {
      const report = readReport(reader);
      return report === undefined ? undefined : { kind, report };
    }
    case 'poll':
      return readPoll(reader);
    case 'root':
      return readRoot(reader);
    case 'nodes-request':
    case 'nodes':
      return readNodes(reader, kind);
    case 'done':
      return readDone(reader);
    case 'kept':
      return readKept(reader);
    case 'extras':
      return readExtras(reader);
    case 'noted':
      return { kind, part: reader.varint(), spared: readSpared(reader) };
    case 'ask':
      return readAsk(reader);
    case 'preparing':
      return { kind, reason: readLine(reader) };
    case 'list-request':
      return { kind, after: reader.text() };
    case 'list':
      return readList(reader);
    case 'behind':
      return readBehind(reader);
    case 'behind-noted':
      return readBehindNoted(reader);
    case 'envelope':
      return { kind, envelope: reader.counted().slice() };
    case 'exchange':
      return readExchange(reader);
    case 'withdrawn':
      return readWithdrawn(reader);
    case 'envelope-request':
      return readEnvelopeRequest(reader);
    case 'path-challenge':
      return readPathChallenge(reader);
    case 'path-response':
      return readPathResponse(reader);
    case 'addresses':
      return { kind, number: reader.varint(), addresses: readAddresses(reader) };
    case 'addresses-noted':
      return { kind, number: reader.varint() };
  }
}

function readAccept(reader: ByteReader): Accept {
  const accept = { kind: 'accept' as const, name: readLine(reader) };
  const challenge = reader.counted().slice();
  const addresses = readAddresses(reader);
  return {
    ...accept,
    ...(challenge.length === challengeSizeBytes && { challenge }),
    ...(addresses.length > 0 && { addresses }),
  };
}

function readRoot(reader: ByteReader): Root {
  const root = { kind: 'root' as const, digest: reader.raw(digestSizeBytes).slice() };
  const withdrawnEntries = reader.varint();
  return withdrawnEntries === 0 ? root : { ...root, withdrawnEntries };
}

function readPoll(reader: ByteReader): Poll {
  const flags = reader.uint8();
  const burst = reader.uint16();
  return {
    kind: 'poll',
    burst: (flags & pollFlag.hasBurst) === 0 ? undefined : burst,
    hasTags: (flags & pollFlag.hasTags) !== 0,
    leavesGroup: (flags & pollFlag.leavesGroup) !== 0,
    reportGapMs: reader.varint() / 1000,
  };
}

function readRefusal(reader: ByteReader): Refuse {
  const refusal = { kind: 'refuse' as const, reason: readLine(reader) };
  const meaning = reader.uint8();
  const isTemporary = meaning === refusals.temporary;
  return meaning === refusals.same
    ? { ...refusal, isTemporary, sameAs: reader.uint16() }
    : { ...refusal, isTemporary };
}
