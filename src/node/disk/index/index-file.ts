/**
 * The file of one index: a header, the manifest, the identities of the files, the leaf digests, and the SHA-256 of all
 * of it. A file that is damaged, incomplete or of another path is never used.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import { digestSizeBytes } from '../../../wire/sizes.js';
import { openFlags, readAll, writeAll } from '../fsync.js';
import { writeFileDurably } from '../write-file-durably.js';
import { FileIdentities } from './file-identities.js';
import type { LeafIndex } from './known-blocks.js';

const magic = Buffer.from('p2mp leaves 1\n\0\0', 'latin1');

/** The magic number, the digest of the path, the size of the manifest, and the numbers of files and of leaves. */
const headerSizeBytes = magic.length + digestSizeBytes + 3 * 8;

/** Bytes that are hashed in one turn of the event loop: about a millisecond. */
const hashedAtOnce = 1024 * 1024;

/**
 * @param path where the index is
 * @param objectPath the absolute path of the object
 */
export async function writeIndex(
  path: string,
  objectPath: string,
  index: LeafIndex,
): Promise<void> {
  await writeFileDurably(path, async (handle) => {
    const hash = createHash('sha256');
    const { manifestBytes, identities, leaves } = index;
    let offsetBytes = 0;
    for (const part of [headerOf(objectPath, index), manifestBytes, identities.bytes, leaves]) {
      await hashInTurns(hash, part);
      await writeAll(handle, part, offsetBytes);
      offsetBytes += part.length;
    }
    await writeAll(handle, hash.digest(), offsetBytes);
  });
}

/** @returns undefined if there is no index of this object, or if it is damaged */
export async function readIndex(path: string, objectPath: string): Promise<LeafIndex | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, openFlags.read);
    return await readOpenIndex(handle, objectPath);
  } catch {
    // An index that cannot be read is made again.
    return undefined;
  } finally {
    await handle?.close();
  }
}

async function readOpenIndex(
  handle: FileHandle,
  objectPath: string,
): Promise<LeafIndex | undefined> {
  const stats = await handle.stat();
  const header = Buffer.alloc(headerSizeBytes);
  if (!stats.isFile() || !(await readAll(handle, header, 0))) return undefined;
  const sizes = readHeader(header, objectPath);
  if (sizes === undefined) return undefined;
  const [manifestSizeBytes, fileCount, leafCount] = sizes;
  const ends = [
    manifestSizeBytes,
    FileIdentities.sizeBytes(fileCount),
    leafCount * digestSizeBytes,
  ];
  const bodySizeBytes = ends.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  if (stats.size !== headerSizeBytes + bodySizeBytes + digestSizeBytes) return undefined;
  const hash = createHash('sha256').update(header);
  const parts: Uint8Array[] = [];
  let offsetBytes = headerSizeBytes;
  for (const sizeBytes of ends) {
    const part = new Uint8Array(sizeBytes);
    if (!(await readAll(handle, part, offsetBytes))) return undefined;
    await hashInTurns(hash, part);
    parts.push(part);
    offsetBytes += sizeBytes;
  }
  const digest = new Uint8Array(digestSizeBytes);
  if (!(await readAll(handle, digest, offsetBytes))) return undefined;
  if (!isEqualBytes(digest, hash.digest())) return undefined;
  const [manifestBytes, identities, leaves] = parts as [Uint8Array, Uint8Array, Uint8Array];
  return { manifestBytes, identities: FileIdentities.from(identities), leaves };
}

function headerOf(
  objectPath: string,
  { manifestBytes, identities, leaves }: LeafIndex,
): Uint8Array {
  const header = Buffer.alloc(headerSizeBytes);
  let at = magic.copy(header);
  at += digestOf(objectPath).copy(header, at);
  for (const size of [
    manifestBytes.length,
    identities.fileCount,
    leaves.length / digestSizeBytes,
  ]) {
    at = header.writeDoubleBE(size, at);
  }
  return header;
}

/** @returns the size of the manifest and the numbers of files and of leaves; undefined if it is another file */
function readHeader(header: Buffer, objectPath: string): [number, number, number] | undefined {
  if (!isEqualBytes(header.subarray(0, magic.length), magic)) return undefined;
  const sizesAt = magic.length + digestSizeBytes;
  if (!isEqualBytes(header.subarray(magic.length, sizesAt), digestOf(objectPath))) return undefined;
  const sizes = [0, 8, 16].map((at) => header.readDoubleBE(sizesAt + at));
  return sizes.every((size) => Number.isSafeInteger(size) && size >= 0)
    ? (sizes as [number, number, number])
    : undefined;
}

export function digestOf(objectPath: string): Buffer {
  return createHash('sha256').update(objectPath).digest();
}

/** @returns SHA-256 of the bytes */
export async function digestInTurns(bytes: Uint8Array): Promise<Uint8Array> {
  const hash = createHash('sha256');
  await hashInTurns(hash, bytes);
  return hash.digest();
}

async function hashInTurns(hash: Hash, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += hashedAtOnce) {
    hash.update(bytes.subarray(at, at + hashedAtOnce));
    await nextTurn();
  }
}
