/**
 * Reads back what is held and hashes it, block by block. What the disk says now is what counts: a file
 * that lost its end since is not held.
 */
import { createHash } from 'node:crypto';
import type { Hash } from '../../../base/hash.js';
import type { Range, RangeSet } from '../../../base/range-set.js';
import { hashLeaf } from '../../../object/hash-tree.js';
import type { PartFiles } from '../parts/part-files.js';
import { wholeBlocks } from './content-layout.js';

export interface HeldBlock {
  readonly index: number;
  readonly leaf: Uint8Array;
}

/** Read at once, if blocks are smaller; two of these are held. */
const chunkSizeBytes = 1024 * 1024;

const sha256: Hash = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/**
 * @param present the bytes that should be there
 * @returns the blocks that are there, and the ranges of bytes that could not be read
 * @throws P2mpError TARGET_FAILED, or the signal's reason
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

/**
 * Reads blocks and hashes each. One that could not be read whole has no leaf, nor have those read with it.
 * @param runs of blocks, counted within the content
 * @throws P2mpError TARGET_FAILED, or the signal's reason
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
  // While one chunk is hashed, the next is read.
  let reading = nextOf(chunks, read);
  while (reading !== undefined) {
    const { blocks, start, end, buffer, isWhole } = await reading;
    signal?.throwIfAborted();
    reading = nextOf(chunks, read);
    // Handled here, should the hashing throw before it is awaited.
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

/** Runs of blocks, in pieces of at most so many. */
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
