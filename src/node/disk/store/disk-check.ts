/**
 * Compares the content on disk with the verified digests once an object is completely written. Another
 * process may have changed the content since it was written, or the disk may have corrupted it.
 */
import { freemem } from 'node:os';
import type { Range } from '../../../base/range-set.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import type { PartFiles } from '../parts/part-files.js';
import { readBlocks } from './held-blocks.js';

/** Objects up to this size are always read back, which takes about 10 ms on a machine of 2020. */
const alwaysBytes = 8 * 1024 * 1024;

/**
 * A larger object is read back only if it arrived more slowly than this. Reading and hashing it (at about 1.3 GB/s from
 * the page cache) then takes at most 2 % of the session's time.
 */
const slowBytesPerMs = 20_000;

/** An object larger than this share of free memory is assumed not to be in the page cache any more. */
const cachedShare = 0.5;

/** Whether reading back this many bytes takes little time compared with the session. */
export function isCheapToReadBack(sizeBytes: number, elapsedMs: number): boolean {
  if (sizeBytes <= alwaysBytes) return true;
  return sizeBytes <= elapsedMs * slowBytesPerMs && sizeBytes <= cachedShare * freemem();
}

/**
 * @param blocks ranges of block indices within the content
 * @param leafOf returns the expected digest of a block
 * @returns the blocks that differ or are missing
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
