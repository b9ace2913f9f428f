/**
 * The manifest of an object lists its files, folders and links, and the size of each file. The content of the
 * object consists of all its files, concatenated in the manifest's order.
 */

import { escapeControls } from '../base/control-characters.js';
import type { Steps } from '../base/steps.js';
import { finishSteps } from '../base/steps.js';
import { ByteReader, ByteWriter } from '../wire/byte-codec.js';
import type { NameFault, Platform } from './entry-name.js';
import { checkEntryName, readEntryName } from './entry-name.js';
import { EntryOrder } from './entry-order.js';

/** A regular file in a manifest. */
export interface FileEntry {
  readonly kind: 'file';
  /** A relative name whose parts are separated by slashes. */
  readonly name: string;
  /** Permission bits, 0..0o777. */
  readonly mode: number;
  /** Modification time, in milliseconds since 1970, with a fraction. */
  readonly modifiedMs: number;
  readonly sizeBytes: number;
}

/** A folder in a manifest. Its entry comes before its contents. */
export interface FolderEntry {
  readonly kind: 'folder';
  readonly name: string;
  readonly mode: number;
  readonly modifiedMs: number;
  /**
   * Set if the folder itself is not sent: the sender only puts entries into it. Its mode and its time are
   * then not the sender's, and a receiver applies the mode only to a new folder.
   */
  readonly isHolder?: true;
}

/** A symbolic link; its target is relative and stays within the object. */
export interface LinkEntry {
  readonly kind: 'link';
  readonly name: string;
  readonly target: string;
}

/** One entry of a manifest. */
export type Entry = FileEntry | FolderEntry | LinkEntry;

/** What an object consists of: its entries in order, and the total size of its files. */
export interface Manifest {
  /**
   * The entries in the order of `compareNames`, with unique names. A folder comes just before its contents.
   */
  readonly entries: readonly Entry[];
  /** Sum of the files' sizes. */
  readonly contentSizeBytes: number;
}

/** The reason why a manifest is refused. */
export type ManifestFault =
  | NameFault
  | 'not-a-manifest'
  | 'too-many-entries'
  | 'not-in-order'
  /** A name is repeated, or its parent entry is not a folder. */
  | 'name-conflict'
  /** A link's target is absolute or leads out of the object. */
  | 'link-leaves';

/** The reason why a manifest was refused, and the name at fault. */
export interface RefusedManifest {
  readonly fault: ManifestFault;
  /** The faulty entry, as printable text. */
  readonly name: string;
}

export const manifestLimits = {
  entryCount: 1_000_000,
  sizeBytes: 64 * 1024 * 1024,
} as const;

/** Maximum number of entries, and of bytes, that one step of encoding or decoding handles. */
export const manifestStep = { entryCount: 1000, sizeBytes: 64 * 1024 } as const;

const entryKinds = ['file', 'folder', 'link', 'holder'] as const;

/** The mode of a new folder with `isHolder`. */
export const holderMode = 0o755;

/**
 * Creates a manifest from entries that are already in order (SESSIONS 4.5), and computes their total size.
 * @example
 * ```ts
 * import { createManifest } from 'p2mp/core';
 *
 * const entry = { kind: 'file', name: 'a.txt', mode: 0o644, modifiedMs: 0, sizeBytes: 3 } as const;
 * console.log(createManifest([entry]).contentSizeBytes); // 3
 * ```
 */
export function createManifest(entries: readonly Entry[]): Manifest {
  let contentSizeBytes = 0;
  for (const entry of entries) if (entry.kind === 'file') contentSizeBytes += entry.sizeBytes;
  return { entries, contentSizeBytes };
}

/**
 * Encodes a manifest (SESSIONS 4.5).
 * @example
 * ```ts
 * import { createManifest, encodeManifest } from 'p2mp/core';
 *
 * const entry = { kind: 'folder', name: 'a', mode: 0o755, modifiedMs: 0 } as const;
 * console.log(encodeManifest(createManifest([entry])) instanceof Uint8Array); // true
 * ```
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return finishSteps(encodeInSteps(manifest));
}

/** Encodes a manifest like `encodeManifest`, in steps of at most `manifestStep`. */
export function* encodeInSteps({ entries }: Manifest): Steps<Uint8Array> {
  const parts: Uint8Array[] = [];
  let writer = new ByteWriter().varint(entries.length);
  let endsAt = manifestStep.entryCount;
  for (const [i, entry] of entries.entries()) {
    if (i === endsAt || writer.sizeBytes >= manifestStep.sizeBytes) {
      yield;
      parts.push(writer.finish());
      writer = new ByteWriter();
      endsAt = i + manifestStep.entryCount;
    }
    writeEntry(writer, entry);
  }
  parts.push(writer.finish());
  return yield* joinInSteps(parts);
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  const isHolder = entry.kind === 'folder' && entry.isHolder === true;
  writer.uint8(entryKinds.indexOf(isHolder ? 'holder' : entry.kind)).text(entry.name);
  if (isHolder) return;
  if (entry.kind === 'link') {
    writer.text(entry.target);
    return;
  }
  writer.uint16(entry.mode).float64(entry.modifiedMs);
  if (entry.kind === 'file') writer.varint(entry.sizeBytes);
}

function* joinInSteps(parts: readonly Uint8Array[]): Steps<Uint8Array> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const [i, part] of parts.entries()) {
    if (i % partsPerStep === partsPerStep - 1) yield;
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Number of encoded parts that one step joins. Together, they have a few megabytes at most. */
const partsPerStep = 64;

/**
 * Decodes a manifest and checks everything that must hold before a receiver writes to its disk.
 * @example
 * ```ts
 * import { createManifest, decodeManifest, encodeManifest } from 'p2mp/core';
 *
 * const entry = { kind: 'folder', name: '..', mode: 0o755, modifiedMs: 0 } as const;
 * const decoded = decodeManifest(encodeManifest(createManifest([entry])), 'posix');
 * console.log('fault' in decoded); // true
 * ```
 */
export function decodeManifest(bytes: Uint8Array, platform: Platform): Manifest | RefusedManifest {
  return finishSteps(decodeInSteps(bytes, platform));
}

/**
 * Decodes a manifest like `decodeManifest`, in steps of at most `manifestStep`.
 * @param bytes the encoded manifest, which must not change until the last step is done
 */
export function* decodeInSteps(
  bytes: Uint8Array,
  platform: Platform,
): Steps<Manifest | RefusedManifest> {
  if (bytes.length > manifestLimits.sizeBytes) return { fault: 'too-many-entries', name: '' };
  const reader = new ByteReader(bytes);
  const count = reader.varint();
  if (count > manifestLimits.entryCount) return { fault: 'too-many-entries', name: '' };
  const entries: Entry[] = [];
  const order = new EntryOrder();
  let contentSizeBytes = 0;
  let endsAt: number = manifestStep.entryCount;
  let endsAtBytes = reader.remainingBytes - manifestStep.sizeBytes;
  for (let i = 0; i < count; i++) {
    if (i === endsAt || reader.remainingBytes <= endsAtBytes) {
      yield;
      endsAt = i + manifestStep.entryCount;
      endsAtBytes = reader.remainingBytes - manifestStep.sizeBytes;
    }
    const entry = decodeEntry(reader, order, platform);
    if ('fault' in entry) return entry;
    if (entry.kind === 'file') contentSizeBytes += entry.sizeBytes;
    entries.push(entry);
  }
  const isWhole = reader.isGood && reader.remainingBytes === 0;
  if (!isWhole || !Number.isSafeInteger(contentSizeBytes)) {
    return { fault: 'not-a-manifest', name: '' };
  }
  return { entries, contentSizeBytes };
}

/** @returns the number of entries that a manifest claims to have; this number is not verified */
export function readEntryCount(bytes: Uint8Array): number {
  return new ByteReader(bytes).varint();
}

function decodeEntry(
  reader: ByteReader,
  order: EntryOrder,
  platform: Platform,
): Entry | RefusedManifest {
  const kind = entryKinds[reader.uint8()];
  const nameBytes = reader.counted();
  if (kind === undefined || !reader.isGood) return { fault: 'not-a-manifest', name: '' };
  const read = readEntryName(nameBytes, platform);
  if (typeof read === 'string') return { fault: read, name: printable(nameBytes) };
  const { name } = read;
  const misplaced = order.check(nameBytes, name, kind === 'folder' || kind === 'holder');
  if (misplaced !== undefined) return { fault: misplaced, name: escapeControls(name) };
  const entry = readEntry(reader, kind, name);
  if (entry === undefined) return { fault: 'not-a-manifest', name: escapeControls(name) };
  if (entry.kind === 'link' && !isInside(entry, platform)) {
    return { fault: 'link-leaves', name: escapeControls(name) };
  }
  return entry;
}

function readEntry(
  reader: ByteReader,
  kind: (typeof entryKinds)[number],
  name: string,
): Entry | undefined {
  let entry: Entry;
  if (kind === 'holder') {
    entry = { kind: 'folder', name, mode: holderMode, modifiedMs: 0, isHolder: true };
  } else if (kind === 'link') {
    entry = { kind, name, target: reader.text() };
  } else {
    const mode = reader.uint16() & 0o777;
    const modifiedMs = reader.float64();
    if (!Number.isFinite(modifiedMs) || Math.abs(modifiedMs) > 8.64e15) return undefined;
    entry =
      kind === 'file'
        ? { kind, name, mode, modifiedMs, sizeBytes: reader.varint() }
        : { kind, name, mode, modifiedMs };
  }
  return reader.isGood ? entry : undefined;
}

/**
 * Whether a link's target lies within the object. A target can contain `..` only at its beginning: after a
 * name that is itself a link, `..` would lead to the parent of that link's target.
 */
export function isInside({ name, target }: LinkEntry, platform: Platform): boolean {
  if (target === '' || target.includes('\0') || target.startsWith('/')) return false;
  if (platform === 'windows' && /[:\\]/.test(target)) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const firstName = parts.findIndex((part) => part !== '..');
  const upCount = firstName === -1 ? parts.length : firstName;
  const depth = name.split('/').length - 1;
  const named = parts.slice(upCount);
  // Windows can read `.. ` and `...` as `..`, so every part after the leading `..` parts must be a valid
  // name.
  const isSound = (part: string) => checkEntryName(part, platform) === undefined;
  if (platform === 'windows' && !named.every(isSound)) return false;
  return upCount <= depth && !named.includes('..');
}

/** Returns text that can be printed, with replacement characters for invalid UTF-8. */
function printable(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  return escapeControls(decoder.decode(bytes.subarray(0, 256)));
}
