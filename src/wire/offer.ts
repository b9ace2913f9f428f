/** The sender's offer: the object and the terms of the session (SESSIONS 4.1). */
import type { Address } from '../base/address.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { readLine, shortened } from './lines.js';
import type { Relayed } from './relayed.js';
import { readRelayed, writeRelayed } from './relayed.js';
import { digestSizeBytes, keySizeBytes } from './sizes.js';

/**
 * - `quick`: like `update`, but a file that the sender placed earlier, and whose size and time are still the sender's,
 *   counts as unchanged and is not read
 * - `update`: compares an existing file of the right size block by block and receives what differs
 * - `overwrite`: receives everything again
 * - `keep`: leaves existing files as they are
 */
export type ExistingFiles = 'quick' | 'update' | 'overwrite' | 'keep';
export const existingFiles: readonly ExistingFiles[] = ['update', 'overwrite', 'keep', 'quick'];

/**
 * What happens to entries that a receiver has in folders of the object although the sender does not send them.
 * - `none`: nothing
 * - `delete`: the receiver deletes them once the object is complete
 * - `list`: the receiver lists what `delete` would delete, and changes nothing
 */
export type Deletion = 'none' | 'delete' | 'list';
export const deletions: readonly Deletion[] = ['none', 'delete', 'list'];

/** The sender describes the object and the terms of the session (SESSIONS 4.1). */
export interface Offer {
  readonly kind: 'offer';
  /** The number of the session, which the datagrams with data and the probes carry. */
  readonly session: number;
  /** The object's name, as users see it. */
  readonly label: string;
  readonly mssBytes: number;
  readonly manifestSizeBytes: number;
  readonly contentSizeBytes: number;
  /** The SHA-256 digest of the manifest, which identifies the object. */
  readonly manifestDigest: Uint8Array;
  /** The manifest, if it is small enough. A larger manifest is sent as blocks, and this field is empty. */
  readonly manifest: Uint8Array;
  readonly groupKey: Uint8Array;
  /** The multicast group to join, if there is one. */
  readonly group?: Address;
  readonly reportIntervalMs: number;
  readonly existing: ExistingFiles;
  readonly deletion: Deletion;
  /** When the sender listed its files, by its own clock, in milliseconds since 1970. */
  readonly listedAtMs: number;
  /** The content root. If it is given, the sender also knows the leaf digests, and answers requests for them. */
  readonly contentRoot?: Uint8Array;
  /** If the sender is a relay: where the object comes from. */
  readonly relayed?: Relayed;
}

const none = new Uint8Array(0);

export function writeOffer(writer: ByteWriter, message: Offer): void {
  writer
    .uint32(message.session)
    .text(shortened(message.label))
    .uint16(message.mssBytes)
    .varint(message.manifestSizeBytes)
    .varint(message.contentSizeBytes)
    .raw(message.manifestDigest)
    .counted(message.manifest)
    .raw(message.groupKey)
    .text(message.group?.host ?? '')
    .uint16(message.group?.port ?? 0)
    .varint(Math.round(message.reportIntervalMs * 1000))
    .uint8(existingFiles.indexOf(message.existing))
    .uint8(deletions.indexOf(message.deletion))
    .float64(message.listedAtMs)
    .counted(message.contentRoot ?? none);
  writeRelayed(writer, message.relayed);
}

export function readOffer(reader: ByteReader): Offer | undefined {
  const offer = {
    kind: 'offer' as const,
    session: reader.uint32(),
    label: readLine(reader),
    mssBytes: reader.uint16(),
    manifestSizeBytes: reader.varint(),
    contentSizeBytes: reader.varint(),
    manifestDigest: reader.raw(digestSizeBytes).slice(),
    manifest: reader.counted().slice(),
    groupKey: reader.raw(keySizeBytes).slice(),
  };
  const group = { host: readLine(reader), port: reader.uint16() };
  const reportIntervalMs = reader.varint() / 1000;
  const existing = existingFiles[reader.uint8()];
  const deletion = deletions[reader.uint8()];
  const listedAtMs = reader.float64();
  const contentRoot = reader.counted().slice();
  const relayed = readRelayed(reader);
  if (existing === undefined || deletion === undefined || relayed === 'bad') return undefined;
  const terms: Offer = {
    ...{ ...offer, reportIntervalMs, existing, deletion, listedAtMs },
    ...(group.host === '' ? {} : { group }),
    ...(relayed === undefined ? {} : { relayed }),
  };
  if (contentRoot.length === 0) return terms;
  return contentRoot.length === digestSizeBytes ? { ...terms, contentRoot } : undefined;
}
