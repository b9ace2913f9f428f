/**
 * The messages that prove a path between the sender and one receiver, and keep it alive (SESSIONS 3.17). Each side
 * draws a token for each address of the other side. Only a host that got the token there can repeat it.
 */
import type { Address } from '../base/address.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { sessionHeaderSizeBytes } from './header.js';
import { tagSizeBytes } from './sizes.js';

/** Maximum number of paths to one receiver. Their numbers have two bits in data and reports. */
export const maxPaths = 4;

export const pathTokenSizeBytes = 8;

/** The longest text of an address that is announced: an IPv6 address with its zone. */
const maxHostLength = 64;

/** The sender asks for an answer on a path. */
export interface PathChallenge {
  readonly kind: 'path-challenge';
  readonly path: number;
  /** What the answer repeats. */
  readonly token: Uint8Array;
  /** The token of the receiver's last answer on this path; zeros before the first one. */
  readonly echo: Uint8Array;
  /** The last burst that has been sent completely by this path; undefined if none has. */
  readonly burst: number | undefined;
  /** Size of the encoded message. A challenge as large as data shows that the path carries data. */
  readonly sizeBytes?: number;
}

/** A receiver's answer, smaller than any challenge. */
export interface PathResponse {
  readonly kind: 'path-response';
  readonly path: number;
  /** The token of the challenge. */
  readonly echo: Uint8Array;
  /** What the next challenge repeats. */
  readonly token: Uint8Array;
}

/** The addresses of a receiver have changed since it accepted the offer. */
export interface AddressChange {
  readonly kind: 'addresses';
  /** How many changes there have been, with this one. */
  readonly number: number;
  /** All addresses at which the receiver can be reached now. */
  readonly addresses: readonly Address[];
}

/** The sender knows of this change of addresses. */
export interface AddressesNoted {
  readonly kind: 'addresses-noted';
  readonly number: number;
}

/** How many bytes go to an address that is not proven for each one that has come from it (RFC 9000, 8). */
export const allowanceFactor = 3;

/** Size of a challenge without padding. */
export const leastChallengeSizeBytes = 2 + 2 * pathTokenSizeBytes + 3;

/** Size of the datagram with such a challenge. */
export const leastChallengeDatagramBytes =
  sessionHeaderSizeBytes + leastChallengeSizeBytes + tagSizeBytes;

export function writePathChallenge(writer: ByteWriter, challenge: PathChallenge): void {
  const { path, token, echo, burst, sizeBytes = leastChallengeSizeBytes } = challenge;
  writer
    .uint8(path)
    .raw(token)
    .raw(echo)
    .uint8(burst === undefined ? 0 : 1)
    .uint16(burst ?? 0)
    .raw(new Uint8Array(Math.max(0, sizeBytes - leastChallengeSizeBytes)));
}

export function readPathChallenge(reader: ByteReader): PathChallenge | undefined {
  const path = reader.uint8();
  const token = reader.raw(pathTokenSizeBytes).slice();
  const echo = reader.raw(pathTokenSizeBytes).slice();
  const hasBurst = reader.uint8() === 1;
  const burst = reader.uint16();
  if (path >= maxPaths) return undefined;
  return { kind: 'path-challenge', path, token, echo, burst: hasBurst ? burst : undefined };
}

export function writePathResponse(writer: ByteWriter, { path, echo, token }: PathResponse): void {
  writer.uint8(path).raw(echo).raw(token);
}

export function readPathResponse(reader: ByteReader): PathResponse | undefined {
  const path = reader.uint8();
  const echo = reader.raw(pathTokenSizeBytes).slice();
  const token = reader.raw(pathTokenSizeBytes).slice();
  return path >= maxPaths ? undefined : { kind: 'path-response', path, echo, token };
}

/** Writes the addresses at which a receiver can be reached. */
export function writeAddresses(writer: ByteWriter, addresses: readonly Address[]): void {
  const some = addresses.slice(0, maxPaths);
  writer.uint8(some.length);
  for (const { host, port } of some) writer.text(host).uint16(port);
}

export function readAddresses(reader: ByteReader): readonly Address[] {
  const count = Math.min(reader.uint8(), maxPaths);
  const addresses: Address[] = [];
  for (let i = 0; i < count && reader.isGood; i++) {
    const host = reader.text();
    const port = reader.uint16();
    const isSound = hostPattern.test(host) && host.length <= maxHostLength && port > 0;
    if (!isSound) reader.isGood = false;
    addresses.push({ host, port });
  }
  return addresses;
}

/** Addresses of both IP versions, not names, which a system would look up. */
const hostPattern = /^([0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(%[0-9a-zA-Z._-]+)?)$/;
