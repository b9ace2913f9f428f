/**
 * The file that describes an object in a cache: a header, the manifest, the leaf digests, and the SHA-256 of all of it.
 * A file that is damaged or incomplete is never used.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import { digestSizeBytes, standardBlockSizeBytes } from '../../wire/sizes.js';
import { openFlags, readAll, writeAll } from '../disk/fsync.js';
import { treeOf } from '../disk/index/hash-leaves.js';
import { digestInTurns } from '../disk/index/index-file.js';
import { writeFileDurably } from '../disk/write-file-durably.js';

const magic = Buffer.from('p2mp cached 1\n', 'latin1');

/** Magic number, and the size of the facts in JSON. */
const prefixSizeBytes = magic.length + 4;

const maxFactsBytes = 64 * 1024;

/** What the header says. */
export interface HeadFacts {
  readonly name: string;
  readonly label: string;
  readonly contentSizeBytes: number;
  readonly manifestSizeBytes: number;
  readonly listedAtMs: number;
  readonly contentRoot: Uint8Array;
  readonly manifestDigest: Uint8Array;
}

export async function writeHead(path: string, head: ObjectHead): Promise<void> {
  const { name, label, contentSizeBytes, listedAtMs, manifest, digestTree } = head;
  const facts = Buffer.from(
    JSON.stringify({
      ...{ name, label, contentSizeBytes, listedAtMs, manifestSizeBytes: manifest.length },
      contentRoot: toHex(head.contentRoot),
      manifestDigest: toHex(head.manifestDigest),
    }),
  );
  const size = Buffer.alloc(4);
  size.writeUInt32BE(facts.length);
  const leaves = digestTree.nodes(0, 0, digestTree.blockCount);
  const body = Buffer.concat([magic, size, facts, manifest, leaves]);
  await writeFileDurably(path, async (handle) => {
    await writeAll(handle, body, 0);
    await writeAll(handle, await digestInTurns(body), body.length);
  });
}

/** Reads only the header, which is not compared with the digest. @returns undefined if it is not one */
export async function readFacts(path: string): Promise<HeadFacts | undefined> {
  return use(path, async (handle) => (await readHeader(handle))?.facts);
}

/** @returns undefined if there is no such file, or if it is damaged */
export async function readHead(path: string): Promise<ObjectHead | undefined> {
  return use(path, async (handle) => {
    const header = await readHeader(handle);
    if (header === undefined) return undefined;
    const { facts, sizeBytes } = header;
    const { manifestSizeBytes, contentSizeBytes, contentRoot } = facts;
    const blockCount = Math.ceil(contentSizeBytes / standardBlockSizeBytes);
    const bodySizeBytes = sizeBytes + manifestSizeBytes + blockCount * digestSizeBytes;
    const { size } = await handle.stat();
    if (size !== bodySizeBytes + digestSizeBytes) return undefined;
    const bytes = Buffer.alloc(size);
    if (!(await readAll(handle, bytes, 0))) return undefined;
    const body = bytes.subarray(0, bodySizeBytes);
    if (!isEqualBytes(await digestInTurns(body), bytes.subarray(bodySizeBytes))) return undefined;
    const leavesAt = sizeBytes + manifestSizeBytes;
    // A copy, so that the rest need not stay in memory.
    const manifest = new Uint8Array(body.subarray(sizeBytes, leavesAt));
    const digestTree = await treeOf(body.subarray(leavesAt));
    if (!isEqualBytes(digestTree.root(), contentRoot)) return undefined;
    return { ...facts, manifest, digestTree };
  });
}

async function use<T>(
  path: string,
  read: (handle: FileHandle) => Promise<T | undefined>,
): Promise<T | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, openFlags.read);
    return await read(handle);
  } catch {
    // The object is fetched again.
    return undefined;
  } finally {
    await handle?.close();
  }
}

async function readHeader(
  handle: FileHandle,
): Promise<{ readonly facts: HeadFacts; readonly sizeBytes: number } | undefined> {
  const prefix = Buffer.alloc(prefixSizeBytes);
  if (!(await readAll(handle, prefix, 0))) return undefined;
  if (!isEqualBytes(prefix.subarray(0, magic.length), magic)) return undefined;
  const factsSizeBytes = prefix.readUInt32BE(magic.length);
  if (factsSizeBytes > maxFactsBytes) return undefined;
  const text = Buffer.alloc(factsSizeBytes);
  if (!(await readAll(handle, text, prefixSizeBytes))) return undefined;
  const facts = parseFacts(text.toString());
  return facts === undefined ? undefined : { facts, sizeBytes: prefixSizeBytes + factsSizeBytes };
}

function parseFacts(text: string): HeadFacts | undefined {
  const { name, label, contentSizeBytes, manifestSizeBytes, listedAtMs, ...digests } =
    JSON.parse(text);
  const [contentRoot, manifestDigest] = [digests.contentRoot, digests.manifestDigest].map(
    (hex: unknown) => Uint8Array.from(Buffer.from(String(hex), 'hex')),
  ) as [Uint8Array, Uint8Array];
  const isSound =
    [name, label].every((each) => typeof each === 'string') &&
    [contentSizeBytes, manifestSizeBytes].every(
      (size) => Number.isSafeInteger(size) && size >= 0,
    ) &&
    typeof listedAtMs === 'number' &&
    [contentRoot, manifestDigest].every(({ length }) => length === digestSizeBytes);
  const sizes = { contentSizeBytes, manifestSizeBytes };
  return isSound ? { name, label, ...sizes, listedAtMs, contentRoot, manifestDigest } : undefined;
}
