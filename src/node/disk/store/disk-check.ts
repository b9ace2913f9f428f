/**
 * Compares what the disk holds with verified digests, once all of an object was written: another process
 * may have changed a part, and a disk may return other bytes than it was given.
 */
import { freemem } from 'node:os';
import type { Range } from '../../../base/range-set.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import type { PartFiles } from '../parts/part-files.js';
import { readBlocks } from './held-blocks.js';

/** So much is always read back: about 10 ms on a machine of 2020. */
const alwaysBytes = 8 * 1024 * 1024;

/**
 * More is read back where it came in at less than this, so that reading and hashing it (at about 1.3 GB/s from
 * the system's cache) takes a twentieth of the session's time.
 */
const slowBytesPerMs = 64_000;

/** Beyond this share of the free memory, it has to come from the disk itself. */
const cachedShare = 0.5;

/** Whether reading back so many bytes does not make a session noticeably longer. */
export function isCheapToReadBack(sizeBytes: number, elapsedMs: number): boolean {
  if (sizeBytes <= alwaysBytes) return true;
  return sizeBytes <= elapsedMs * slowBytesPerMs && sizeBytes <= cachedShare * freemem();
}

/**
 * @param blocks as runs, counted within the content
 * @param leafOf the digest that a block should have
 * @returns the blocks that have another one, or that are not there
 * @throws P2mpError TARGET_FAILED; the signal's reason
 */
export async function findDamagedBlocks(
  files: PartFiles,
  blocks: readonly Range[],
  blockSizeBytes: number,
  leafOf: (block: number) => Uint8Array,
  signal: AbortSignal,
): Promise<number[]> {
  const damaged: number[] = [];
  for await (const { index, leaf } of readBlocks(files, blocks, blockSizeBytes, signal)) {
    if (leaf === undefined || !isEqualBytes(leaf, leafOf(index))) damaged.push(index);
  }
  return damaged;
}
