/** Digests of files and folders on disk: the content root of an object, and the SHA-256 of each file. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { DigestTree } from '../object/digest-tree.js';
import { hashLeaf } from '../object/hash-tree.js';
import { toHex } from '../wire/byte-codec.js';
import { standardBlockSizeBytes } from '../wire/sizes.js';
import type { ObjectSource } from './disk/source/object-source.js';
import { sha256 } from './primitives/primitives.js';
import { fileError } from './system-error.js';

/** A file of the object, as named on the command line. */
export interface FileDigest {
  readonly path: string;
  readonly sizeBytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

/**
 * Reads the whole content once.
 * @param onFile called for each file in the order of the content; if undefined, files are not hashed
 * @returns the content root in hexadecimal: what a session reports that sends the same content
 * @throws P2mpError SOURCE_CHANGED, SOURCE_UNREADABLE; the signal's reason after it aborts
 */
export async function digestContent(
  source: ObjectSource,
  signal: AbortSignal,
  onFile?: (file: FileDigest) => void,
): Promise<string> {
  const { contentSizeBytes } = source.manifest;
  const blockCount = Math.ceil(contentSizeBytes / standardBlockSizeBytes);
  const tree = new DigestTree(sha256, blockCount);
  const files = onFile === undefined ? undefined : new FileHashes(source, onFile);
  for (let index = 0; index < blockCount; index++) {
    signal.throwIfAborted();
    const offsetBytes = index * standardBlockSizeBytes;
    const sizeBytes = Math.min(standardBlockSizeBytes, contentSizeBytes - offsetBytes);
    const block = await source.read(offsetBytes, sizeBytes);
    tree.set(index, hashLeaf(sha256, block));
    files?.take(block);
  }
  files?.endFiles();
  await source.verify();
  return toHex(tree.root());
}

/** Hashes each file of the content. The content arrives in order, in blocks that may span several files. */
class FileHashes {
  private index = 0;
  private hash = createHash('sha256');
  private hashedBytes = 0;

  constructor(
    private readonly source: ObjectSource,
    private readonly onFile: (file: FileDigest) => void,
  ) {}

  take(block: Uint8Array): void {
    let rest = block;
    while (rest.length > 0) {
      this.endFiles();
      const part = rest.subarray(0, this.missingBytes);
      this.hash.update(part);
      this.hashedBytes += part.length;
      rest = rest.subarray(part.length);
    }
  }

  /** Reports the files that are complete, empty ones included. */
  endFiles(): void {
    for (let file = this.file; file !== undefined && this.missingBytes === 0; file = this.file) {
      const { path, entry } = file;
      this.onFile({ path, sizeBytes: entry.sizeBytes, sha256: this.hash.digest('hex') });
      this.index++;
      this.hash = createHash('sha256');
      this.hashedBytes = 0;
    }
  }

  private get file() {
    return this.source.files[this.index];
  }

  /** Bytes of the current file that have not arrived. */
  private get missingBytes(): number {
    return (this.file?.entry.sizeBytes ?? 0) - this.hashedBytes;
  }
}

/**
 * @returns the SHA-256 of one file in hexadecimal
 * @throws P2mpError SOURCE_UNREADABLE; the signal's reason after it aborts
 */
export async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const bytes of createReadStream(path, { signal })) hash.update(bytes);
  } catch (error) {
    signal.throwIfAborted();
    throw fileError('SOURCE_UNREADABLE', path, error);
  }
  return hash.digest('hex');
}
