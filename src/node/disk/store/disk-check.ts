/**
 * Compares the content on disk with the verified digests once an object is completely written. Another
 * process may have changed the content since it was written, or the disk may have corrupted it.
 */
import { freemem } from 'node:os';
import { assert } from '../../../base/assert.js';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import { forEachInTurns } from '../../in-turns.js';
import type { PartFiles } from '../parts/part-files.js';
import type { ContentFile } from './content-layout.js';
import { readBlocks } from './held-blocks.js';

/** Objects up to this size are always read back, which takes about 10 ms on a machine of 2020. */
const alwaysBytes = 8 * 1024 * 1024;

/**
 * A larger object is read back only if it arrived more slowly than this. Reading and hashing it (at about 1.3 GB/s from
 * the page cache) then takes at most 1 % of the session's time.
 */
const slowBytesPerMs = 10_000;

/** An object larger than this share of free memory is assumed not to be in the page cache any more. */
const cachedShare = 0.5;

/**
 * Whether reading back this many bytes takes little time compared with the session.
 * @param arrivingBytes the size of all objects that arrive at the same time, each of which may be read back
 */
export function isCheapToReadBack(
  sizeBytes: number,
  elapsedMs: number,
  arrivingBytes = sizeBytes,
): boolean {
  if (sizeBytes <= alwaysBytes) return true;
  const allBytes = Math.max(sizeBytes, arrivingBytes);
  return allBytes <= elapsedMs * slowBytesPerMs && allBytes <= cachedShare * freemem();
}

/**
 * @returns the blocks that overlap files of the part, without those that overlap a kept file, because its content may
 *   differ from the object
 * @throws the signal's reason
 */
export async function blocksInPart(
  files: PartFiles,
  blockSizeBytes: number,
  signal: AbortSignal,
): Promise<RangeSet> {
  const inPart = new RangeSet();
  const kept = new RangeSet();
  const add = (file: ContentFile) => {
    const { kind } = files.place(file);
    if (kind === 'part') addBlocks(inPart, file, blockSizeBytes);
    if (kind === 'kept') addBlocks(kept, file, blockSizeBytes);
  };
  await forEachInTurns(files.layout.files, add, signal);
  for (const { start, end } of kept.ranges()) inPart.remove(start, end);
  return inPart;
}

/** Adds the blocks that overlap the file. */
function addBlocks(blocks: RangeSet, { start, end }: ContentFile, blockSizeBytes: number): void {
  if (start === end) return;
  blocks.add(Math.floor(start / blockSizeBytes), Math.ceil(end / blockSizeBytes));
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

/** Checks that every file is written that is not kept. @throws `cause`, which made a file incomplete */
export async function checkFiles(
  files: PartFiles,
  isWhole: (file: ContentFile) => boolean,
  cause: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  const check = (file: ContentFile) => {
    if (files.place(file).kind === 'kept' || isWhole(file)) return;
    if (cause !== undefined) throw cause;
    assert(false, `${file.entry.name} is whole`);
  };
  await forEachInTurns(files.layout.files, check, signal);
}
