/**
 * Shows whether files have changed, by inode, size, modification time, and time of the last status change, which no
 * program can set back. Many files take little memory.
 */
import type { BigIntStats } from 'node:fs';
import { assert } from '../../../base/assert.js';

const wordsPerFile = 4;
const bytesPerFile = wordsPerFile * 8;

/** A file that changed more recently than this might change again without new times. */
const settledAfterNs = 2_000_000_000n;

/** Stands for a file whose identity is not known. No file has this inode and this size. */
const unknownWord = -1n;

export class FileIdentities {
  private constructor(private readonly words: BigInt64Array) {}

  static forFiles(fileCount: number): FileIdentities {
    return new FileIdentities(new BigInt64Array(fileCount * wordsPerFile).fill(unknownWord));
  }

  /** @param bytes as of `bytes` of the same machine */
  static from(bytes: Uint8Array): FileIdentities {
    assert(bytes.length % bytesPerFile === 0, 'whole identities');
    return new FileIdentities(new BigInt64Array(bytes.slice().buffer));
  }

  static sizeBytes(fileCount: number): number {
    return fileCount * bytesPerFile;
  }

  get fileCount(): number {
    return this.words.length / wordsPerFile;
  }

  get bytes(): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.words;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  set(index: number, stats: BigIntStats): void {
    for (const [i, word] of wordsOf(stats).entries()) this.words[index * wordsPerFile + i] = word;
  }

  isSame(index: number, stats: BigIntStats): boolean {
    return wordsOf(stats).every(
      (word, i) => this.words[index * wordsPerFile + i] === BigInt.asIntN(64, word),
    );
  }

  /** Whether a known file is the same as one of another list. */
  isSameAs(index: number, other: FileIdentities, otherIndex: number): boolean {
    const at = index * wordsPerFile;
    if (this.words[at + 1] === unknownWord) return false;
    const otherAt = otherIndex * wordsPerFile;
    for (let i = 0; i < wordsPerFile; i++) {
      if (this.words[at + i] !== other.words[otherAt + i]) return false;
    }
    return true;
  }

  /**
   * A copy in which files are unknown that changed shortly before their identities were taken, or have a time in the
   * future.
   * @param takenAtMs in milliseconds since 1970
   */
  settled(takenAtMs: number): FileIdentities {
    const words = this.words.slice();
    const settledAtNs = BigInt(Math.floor(takenAtMs)) * 1_000_000n - settledAfterNs;
    for (let at = 0; at < words.length; at += wordsPerFile) {
      const isSettled = [2, 3].every((i) => (words[at + i] as bigint) < settledAtNs);
      if (!isSettled) words.fill(unknownWord, at, at + wordsPerFile);
    }
    return new FileIdentities(words);
  }
}

function wordsOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): bigint[] {
  return [ino, size, mtimeNs, ctimeNs];
}
