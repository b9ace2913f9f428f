/**
 * Reads and hashes the blocks that should be on disk. Only data that the disk really returns counts: if a
 * file was truncated, the blocks at its end are missing.
 */
import type { Range, RangeSet } from '../../../base/range-set.js';
import type { HeldBlock } from '../../../object/content-store.js';
import { hashLeaf } from '../../../object/hash-tree.js';
import { sha256 } from '../../primitives/primitives.js';
import type { PartFiles } from '../parts/part-files.js';
import { wholeBlocks } from './content-layout.js';

/** Size of a read, unless blocks are larger. Two such chunks are in memory at a time. */
const chunkSizeBytes = 1024 * 1024;

/**
 * @param present the ranges that should be on disk
 * @returns the blocks that are on disk, and the ranges that could not be read
 * @throws P2mpError TARGET_FAILED; the signal's reason
 */
export async function readHeldBlocks(
  files: PartFiles,
  present: RangeSet,
  blockSizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly held: readonly HeldBlock[]; readonly lost: readonly Range[] }> {
  const held: HeldBlock[] = [];
  const lost: Range[] = [];
  const { sizeBytes } = files.layout;
  const blocks = wholeBlocks(present.ranges(), blockSizeBytes, sizeBytes);
  for await (const { index, leaf } of readBlocks(files, blocks, blockSizeBytes, signal)) {
    const start = index * blockSizeBytes;
    if (leaf !== undefined) held.push({ index, leaf });
    else lost.push({ start, end: Math.min(start + blockSizeBytes, sizeBytes) });
  }
  return { held, lost };
}

/** The same without reading: the blocks that should be on disk. */
export function assumeHeldBlocks(
  present: RangeSet,
  blockSizeBytes: number,
  sizeBytes: number,
  leafOf: (block: number) => Uint8Array,
): { readonly held: readonly HeldBlock[]; readonly lost: readonly Range[] } {
  const held: HeldBlock[] = [];
  for (const { start, end } of wholeBlocks(present.ranges(), blockSizeBytes, sizeBytes))
    for (let index = start; index < end; index++) held.push({ index, leaf: leafOf(index) });
  return { held, lost: [] };
}

/**
 * Reads and hashes blocks. If a read returns too little, none of its blocks has a leaf.
 * @param runs ranges of block indices within the content
 * @throws P2mpError TARGET_FAILED; the signal's reason
 */
export async function* readBlocks(
  files: PartFiles,
  runs: readonly Range[],
  blockSizeBytes: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly index: number; readonly leaf: Uint8Array | undefined }> {
  const chunks = chunksOf(runs, Math.max(1, Math.floor(chunkSizeBytes / blockSizeBytes)));
  const spares: Buffer[] = [];
  const read = async (blocks: Range) => {
    const start = blocks.start * blockSizeBytes;
    const end = Math.min(blocks.end * blockSizeBytes, files.layout.sizeBytes);
    const buffer = spares.pop() ?? Buffer.allocUnsafeSlow(sizeOfChunk(blockSizeBytes));
    const isWhole = await files.read(start, buffer.subarray(0, end - start));
    return { blocks, start, end, buffer, isWhole };
  };
  // While one chunk is being hashed, the next one is read.
  let reading = nextOf(chunks, read);
  while (reading !== undefined) {
    const { blocks, start, end, buffer, isWhole } = await reading;
    signal?.throwIfAborted();
    reading = nextOf(chunks, read);
    // Avoids an unhandled rejection if hashing throws before this read is awaited.
    reading?.catch(() => undefined);
    for (let index = blocks.start; index < blocks.end; index++) {
      const from = index * blockSizeBytes - start;
      const block = buffer.subarray(from, Math.min(from + blockSizeBytes, end - start));
      yield { index, leaf: isWhole ? hashLeaf(sha256, block) : undefined };
    }
    spares.push(buffer);
  }
}

function sizeOfChunk(blockSizeBytes: number): number {
  return Math.max(1, Math.floor(chunkSizeBytes / blockSizeBytes)) * blockSizeBytes;
}

/** Splits ranges of blocks into chunks of at most `maxBlocks`. */
function* chunksOf(runs: readonly Range[], maxBlocks: number): Generator<Range> {
  for (const { start, end } of runs) {
    for (let from = start; from < end; from += maxBlocks) {
      yield { start: from, end: Math.min(end, from + maxBlocks) };
    }
  }
}

function nextOf<T, U>(items: Iterator<T>, work: (item: T) => Promise<U>): Promise<U> | undefined {
  const { done, value } = items.next();
  return done ? undefined : work(value);
}
