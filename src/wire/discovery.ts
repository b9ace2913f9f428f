/**
 * Datagrams by which hosts find receivers and servers on their network (SESSIONS 7). They travel on a port of their own, outside
 * of sessions. `decodeDiscovery` never throws: it returns a packet or the name of the fault.
 */
import { ByteReader, ByteWriter } from './byte-codec.js';
import { keySizeBytes } from './sizes.js';

/**
 * Where receivers and servers listen for queries (SESSIONS 7.1). The IPv4 group is of the local scope of RFC 2365, which border
 * routers do not forward; the IPv6 group is transient and link-local (RFC 4291, 2.7).
 */
export const discoveryPlace = {
  port: 7736,
  group4: '239.255.77.36',
  group6: 'ff12::8000:1e38',
} as const;

export const discoveryNonceSizeBytes = 16;

/** Size of a query. Queries are padded to it, so that no answer is longer than its query. */
export const querySizeBytes = 128;

/** Longest name in an answer, in bytes of UTF-8. Longer names are cut. */
export const maxAnnouncedNameBytes = 64;

/** "P2MD" */
const magic = 0x50324d44;
const version = 1;
const kinds = { query: 1, answer: 2 } as const;

/** What a host that answers does: `p2mp receive` is a receiver, `p2mp serve` is a server. */
export type AnnouncedRole = 'receiver' | 'server';

const roles: readonly (AnnouncedRole | undefined)[] = [undefined, 'receiver', 'server'];

/** A host asks which receivers and servers there are. */
export interface DiscoveryQuery {
  readonly kind: 'query';
  /** Random bytes. Answers repeat them, so that only hosts that see the query can answer. */
  readonly nonce: Uint8Array;
}

/** What a receiver or server reveals about itself: nothing in it is proven. */
export interface DiscoveryAnswer {
  readonly kind: 'answer';
  /** The nonce of the query. */
  readonly nonce: Uint8Array;
  /** The port of its sessions. */
  readonly port: number;
  readonly receiverKey: Uint8Array;
  readonly role: AnnouncedRole;
  /** Its name for itself; may be empty. */
  readonly name: string;
}

export type DiscoveryPacket = DiscoveryQuery | DiscoveryAnswer;
export type DiscoveryFault = 'too-short' | 'unknown-type' | 'other-version' | 'bad-message';

export function encodeQuery(nonce: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(querySizeBytes);
  bytes.set(writeHeader(kinds.query, nonce).finish());
  return bytes;
}

export function encodeAnswer(answer: DiscoveryAnswer): Uint8Array {
  const { nonce, port, receiverKey, role, name } = answer;
  const writer = writeHeader(kinds.answer, nonce).uint16(port).raw(receiverKey);
  return writer.uint8(roles.indexOf(role)).text(cutName(name)).finish();
}

/** Decodes a datagram. @returns the packet, or the name of the fault; never throws */
export function decodeDiscovery(bytes: Uint8Array): DiscoveryPacket | DiscoveryFault {
  const reader = new ByteReader(bytes);
  const type = reader.uint32();
  const foundVersion = reader.uint8();
  const kind = reader.uint8();
  const nonce = reader.raw(discoveryNonceSizeBytes);
  if (!reader.isGood) return 'too-short';
  if (type !== magic) return 'unknown-type';
  if (foundVersion !== version) return 'other-version';
  if (kind === kinds.query) {
    // A shorter query could draw an answer that is longer than itself.
    return bytes.length < querySizeBytes ? 'too-short' : { kind: 'query', nonce };
  }
  if (kind !== kinds.answer) return 'unknown-type';
  const port = reader.uint16();
  const receiverKey = reader.raw(keySizeBytes);
  const role = roles[reader.uint8()];
  const nameSizeBytes = reader.remainingBytes - 1;
  const name = reader.text();
  const isGood = reader.isGood && reader.remainingBytes === 0;
  const isRight = port > 0 && role !== undefined && nameSizeBytes <= maxAnnouncedNameBytes;
  return isGood && isRight
    ? { kind: 'answer', nonce, port, receiverKey, role, name }
    : 'bad-message';
}

function writeHeader(kind: number, nonce: Uint8Array): ByteWriter {
  return new ByteWriter().uint32(magic).uint8(version).uint8(kind).raw(nonce);
}

/** @returns as many whole characters from the start of the name as fit */
function cutName(name: string): string {
  const encoder = new TextEncoder();
  let cut = '';
  let sizeBytes = 0;
  for (const character of name) {
    sizeBytes += encoder.encode(character).length;
    if (sizeBytes > maxAnnouncedNameBytes) break;
    cut += character;
  }
  return cut;
}
