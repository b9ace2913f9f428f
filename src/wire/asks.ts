/**
 * What a receiver asks of a host that serves objects: one object, or the list of objects, page by page. Each page fits
 * in one datagram (SESSIONS 9).
 */
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { isLongerUtf8 } from './byte-codec.js';
import { digestSizeBytes } from './sizes.js';

/** What identifies an object. Whatever is given must be that of the object. At least one of the three is given. */
export interface AskedObject {
  /** The name under which the object is served; empty for any. */
  readonly name: string;
  /** The content root. */
  readonly root: Uint8Array | undefined;
  readonly manifestDigest: Uint8Array | undefined;
}

/** The receiver asks for an object. It repeats the ask until an offer or a refusal answers. */
export interface Ask extends AskedObject {
  readonly kind: 'ask';
  /** The largest MSS that the path is known to carry. */
  readonly mssBytes: number;
  /** The relays that the ask has come through, the nearest to the asking receiver first; their random numbers. */
  readonly hops: readonly Uint8Array[];
}

/** The asked host looks for the object or prepares it. The receiver repeats its question. */
export interface Preparing {
  readonly kind: 'preparing';
  /** What holds up the answer; empty if nothing is known to. */
  readonly reason: string;
}

/** The receiver asks for a page of the list of objects. */
export interface ListRequest {
  readonly kind: 'list-request';
  /** The page begins with the first name that is greater, in the order of `compareNames`; empty for the first page. */
  readonly after: string;
}

/** An object that a host serves. */
export interface ListedObject {
  readonly name: string;
  readonly contentSizeBytes: number;
  readonly manifestDigest: Uint8Array;
  /** The content root; undefined while it is not known. */
  readonly root: Uint8Array | undefined;
}

/** A page of the list of objects. */
export interface List {
  readonly kind: 'list';
  /** The `after` of the request that this page answers. */
  readonly after: string;
  readonly isLast: boolean;
  readonly objects: readonly ListedObject[];
}

/** Maximum size of a name in UTF-8. Objects with longer names cannot be asked for by name, and are not listed. */
export const maxAskedNameBytes = 500;

/** Maximum size of the objects on one page. */
const maxPageBytes = 1000;

/** Maximum number of relays that an ask can come through. */
export const maxHops = 8;

/** Size of the random number of a relay. */
export const hopSizeBytes = 8;

const askFlag = { hasRoot: 1, hasManifestDigest: 2, hasHops: 4 } as const;
const listFlag = { isLast: 1 } as const;
const listedFlag = { hasRoot: 1 } as const;

/** Whether a name can be asked for and listed. */
export function isAskableName(name: string): boolean {
  return name !== '' && !isLongerUtf8(name, maxAskedNameBytes);
}

/** Whether there is anything by which an object can be found. */
export function isNamed({ name = '', root, manifestDigest }: Partial<AskedObject>): boolean {
  return isAskableName(name) || (name === '' && (root ?? manifestDigest) !== undefined);
}

/**
 * The order of the list: by the numbers of the characters' UTF-16 units, whatever the language.
 * @example
 * ```ts
 * import { compareNames } from 'p2mp/core';
 *
 * console.log(['b', 'a', 'B'].sort(compareNames).join(' ')); // B a b
 * ```
 */
export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Fills a page of the list.
 * @param objects those with a name greater than `after`, in the order of `compareNames`
 * @example
 * ```ts
 * import { fillPage } from 'p2mp/core';
 *
 * const object = { contentSizeBytes: 3, manifestDigest: new Uint8Array(32), root: undefined };
 * const objects = Array.from('abc', (name) => ({ ...object, name }));
 * console.log(fillPage('a', objects.slice(1)).objects.length); // 2
 * ```
 */
export function fillPage(after: string, objects: Iterable<ListedObject>): List {
  const page: ListedObject[] = [];
  let leftBytes = maxPageBytes;
  for (const object of objects) {
    if (!isAskableName(object.name)) continue;
    leftBytes -= listedSizeBytes(object);
    if (leftBytes < 0) return { kind: 'list', after, isLast: false, objects: page };
    page.push(object);
  }
  return { kind: 'list', after, isLast: true, objects: page };
}

/** An upper bound of the size of an object in the list. */
function listedSizeBytes({ name, root }: ListedObject): number {
  const digests = root === undefined ? 1 : 2;
  const nameBytes = Math.min(3 * name.length, maxAskedNameBytes);
  return 1 + 2 + nameBytes + 8 + digests * digestSizeBytes;
}

export function writeAsk(writer: ByteWriter, ask: Ask): void {
  const { name, root, manifestDigest, mssBytes, hops } = ask;
  const hasRoot = root === undefined ? 0 : askFlag.hasRoot;
  const hasManifestDigest = manifestDigest === undefined ? 0 : askFlag.hasManifestDigest;
  const hasHops = hops.length === 0 ? 0 : askFlag.hasHops;
  writer
    .uint8(hasRoot | hasManifestDigest | hasHops)
    .uint16(mssBytes)
    .text(name);
  if (root !== undefined) writer.raw(root);
  if (manifestDigest !== undefined) writer.raw(manifestDigest);
  if (hops.length === 0) return;
  writer.uint8(hops.length);
  for (const hop of hops) writer.raw(hop);
}

export function readAsk(reader: ByteReader): Ask | undefined {
  const flags = reader.uint8();
  const mssBytes = reader.uint16();
  const name = reader.text();
  const root = readDigest(reader, (flags & askFlag.hasRoot) !== 0);
  const manifestDigest = readDigest(reader, (flags & askFlag.hasManifestDigest) !== 0);
  const hopCount = (flags & askFlag.hasHops) === 0 ? 0 : reader.uint8();
  if (hopCount > maxHops) return undefined;
  const hops = Array.from({ length: hopCount }, () => reader.raw(hopSizeBytes).slice());
  const ask = { kind: 'ask' as const, name, root, manifestDigest, mssBytes, hops };
  return isNamed(ask) ? ask : undefined;
}

export function writeList(writer: ByteWriter, { after, isLast, objects }: List): void {
  writer.uint8(isLast ? listFlag.isLast : 0).text(after);
  for (const { name, contentSizeBytes, manifestDigest, root } of objects) {
    writer.uint8(root === undefined ? 0 : listedFlag.hasRoot).text(name);
    writer.varint(contentSizeBytes).raw(manifestDigest);
    if (root !== undefined) writer.raw(root);
  }
}

/** @returns undefined if the page is empty but not the last, or its names do not ascend from `after` on */
export function readList(reader: ByteReader): List | undefined {
  const isLast = (reader.uint8() & listFlag.isLast) !== 0;
  const after = reader.text();
  const objects: ListedObject[] = [];
  let last = after;
  while (reader.remainingBytes > 0 && reader.isGood) {
    const flags = reader.uint8();
    const name = reader.text();
    const contentSizeBytes = reader.varint();
    const manifestDigest = reader.raw(digestSizeBytes).slice();
    const root = readDigest(reader, (flags & listedFlag.hasRoot) !== 0);
    // So each page leads further, and the list ends.
    if (!isAskableName(name) || compareNames(last, name) >= 0) return undefined;
    objects.push({ name, contentSizeBytes, manifestDigest, root });
    last = name;
  }
  if (objects.length === 0 && !isLast) return undefined;
  return { kind: 'list', after, isLast, objects };
}

function readDigest(reader: ByteReader, isPresent: boolean): Uint8Array | undefined {
  return isPresent ? reader.raw(digestSizeBytes).slice() : undefined;
}
