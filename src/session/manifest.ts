/**
 * What an object consists of: the names, kinds and sizes of its entries. The content of its files
 * follows in the manifest's order, one behind the other, as one run of bytes.
 */
import { ByteReader, ByteWriter, escapeControls } from './byte-codec.js';
import type { NameFault, Platform } from './entry-name.js';
import { checkEntryName, parseEntryName } from './entry-name.js';

export interface FileEntry {
  readonly kind: 'file';
  /** Relative, parts separated by slashes. */
  readonly name: string;
  /** Permission bits, 0..0o777. */
  readonly mode: number;
  /** Time of the last change, in milliseconds since 1970, with a fraction. */
  readonly modifiedMs: number;
  readonly sizeBytes: number;
}

export interface FolderEntry {
  readonly kind: 'folder';
  readonly name: string;
  readonly mode: number;
  readonly modifiedMs: number;
}

/** A symbolic link; its target is relative and stays within the object. */
export interface LinkEntry {
  readonly kind: 'link';
  readonly name: string;
  readonly target: string;
}

export type Entry = FileEntry | FolderEntry | LinkEntry;

export interface Manifest {
  /** A folder comes before what is in it; no name comes twice. */
  readonly entries: readonly Entry[];
  /** Sum of the files' sizes. */
  readonly contentSizeBytes: number;
}

/** Why a manifest is refused; counted by this. */
export type ManifestFault =
  | NameFault
  | 'not-a-manifest'
  | 'too-many-entries'
  /** A name comes twice, or lies in something that is no folder. */
  | 'name-conflict'
  /** A link's target is absolute, or leads out of the object. */
  | 'link-leaves';

export interface RefusedManifest {
  readonly fault: ManifestFault;
  /** The entry that is at fault, as printable text. */
  readonly name: string;
}

export const manifestLimits = {
  entryCount: 1_000_000,
  sizeBytes: 64 * 1024 * 1024,
} as const;

const entryKinds = ['file', 'folder', 'link'] as const;

export function createManifest(entries: readonly Entry[]): Manifest {
  let contentSizeBytes = 0;
  for (const entry of entries) if (entry.kind === 'file') contentSizeBytes += entry.sizeBytes;
  return { entries, contentSizeBytes };
}

/** The files that a run of the content is a part of. */
export function namesAt({ entries }: Manifest, offsetBytes: number, sizeBytes: number): string[] {
  const names: string[] = [];
  let start = 0;
  for (const entry of entries) {
    if (entry.kind !== 'file' || entry.sizeBytes === 0) continue;
    if (start >= offsetBytes + sizeBytes) break;
    const end = start + entry.sizeBytes;
    if (end > offsetBytes) names.push(entry.name);
    start = end;
  }
  return names;
}

export function encodeManifest({ entries }: Manifest): Uint8Array {
  const writer = new ByteWriter().varint(entries.length);
  for (const entry of entries) {
    writer.uint8(entryKinds.indexOf(entry.kind)).text(entry.name);
    if (entry.kind === 'link') {
      writer.text(entry.target);
      continue;
    }
    writer.uint16(entry.mode).float64(entry.modifiedMs);
    if (entry.kind === 'file') writer.varint(entry.sizeBytes);
  }
  return writer.finish();
}

/** Checks all that a receiver must know before it touches its disk. */
export function decodeManifest(bytes: Uint8Array, platform: Platform): Manifest | RefusedManifest {
  if (bytes.length > manifestLimits.sizeBytes) return { fault: 'too-many-entries', name: '' };
  const reader = new ByteReader(bytes);
  const count = reader.varint();
  if (count > manifestLimits.entryCount) return { fault: 'too-many-entries', name: '' };
  const entries: Entry[] = [];
  const kinds = new Map<string, Entry['kind']>();
  for (let i = 0; i < count; i++) {
    const kind = entryKinds[reader.uint8()];
    const nameBytes = reader.counted();
    if (kind === undefined || !reader.isGood) return { fault: 'not-a-manifest', name: '' };
    const parts = parseEntryName(nameBytes, platform);
    if (typeof parts === 'string') return { fault: parts, name: printable(nameBytes) };
    const name = parts.join('/');
    // Names that differ in case alone are one name to many file systems.
    const key = platform === 'windows' ? name.toLowerCase() : name;
    const parent = key.slice(0, Math.max(0, key.lastIndexOf('/')));
    if (kinds.has(key) || (parent !== '' && kinds.get(parent) !== 'folder')) {
      return { fault: 'name-conflict', name: escapeControls(name) };
    }
    kinds.set(key, kind);
    const entry = readEntry(reader, kind, name);
    if (entry === undefined) return { fault: 'not-a-manifest', name: escapeControls(name) };
    if (entry.kind === 'link' && !isInside(entry, platform))
      return { fault: 'link-leaves', name: escapeControls(name) };
    entries.push(entry);
  }
  const manifest = createManifest(entries);
  const isWhole = reader.isGood && reader.remainingBytes === 0;
  if (!isWhole || !Number.isSafeInteger(manifest.contentSizeBytes)) {
    return { fault: 'not-a-manifest', name: '' };
  }
  return manifest;
}

function readEntry(reader: ByteReader, kind: Entry['kind'], name: string): Entry | undefined {
  let entry: Entry;
  if (kind === 'link') {
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
 * Whether a link leads to something within the object. `..` may stand in front only: behind a name that
 * is a link itself, it would lead to the parent of what that one names.
 */
export function isInside({ name, target }: LinkEntry, platform: Platform): boolean {
  if (target === '' || target.includes('\0') || target.startsWith('/')) return false;
  if (platform === 'windows' && /[:\\]/.test(target)) return false;
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const firstName = parts.findIndex((part) => part !== '..');
  const upCount = firstName === -1 ? parts.length : firstName;
  const depth = name.split('/').length - 1;
  const named = parts.slice(upCount);
  // There `.. ` and `...` may be taken for `..`; and what no entry can be called leads to none.
  const isSound = (part: string) => checkEntryName(part, platform) === undefined;
  if (platform === 'windows' && !named.every(isSound)) return false;
  return upCount <= depth && !named.includes('..');
}

/** For people: what is no UTF-8 shows as such. */
function printable(bytes: Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
  return escapeControls(decoder.decode(bytes.subarray(0, 256)));
}
