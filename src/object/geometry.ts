/**
 * Divides an object into blocks and segments. The manifest and the content are each cut into blocks. Each
 * block is sealed as a whole and then cut into segments. Block numbers start with the blocks of the manifest
 * and continue with those of the content.
 */
import { assert } from '../base/assert.js';
import { maxSegmentsPerBlock, standardBlockSizeBytes, tagSizeBytes } from '../wire/sizes.js';

export interface SessionGeometry {
  readonly mssBytes: number;
  readonly segmentsPerBlock: number;
  /** The size of a full block before sealing. */
  readonly blockSizeBytes: number;
  readonly manifestSizeBytes: number;
  readonly contentSizeBytes: number;
  readonly manifestBlockCount: number;
  /** The number of blocks of the manifest and the content together. */
  readonly blockCount: number;
}

/**
 * Limits of the segment size. A standard block in smaller segments would have too many of them; every IP link
 * carries larger ones. Larger segments would not fit in a datagram.
 */
export const sessionMssLimits = {
  minBytes: leastMssBytes(standardBlockSizeBytes),
  maxBytes: 65_000,
} as const;

/** The smallest MSS for blocks of this size. */
export function leastMssBytes(blockSizeBytes: number): number {
  return Math.ceil((blockSizeBytes + tagSizeBytes) / maxSegmentsPerBlock);
}

/**
 * Maximum number of blocks, which bounds the memory for their digests. An object can hold a terabyte in
 * standard blocks.
 */
const maxBlockCount = 2 ** 24;

/**
 * Creates the geometry of an object from numbers that can come from a peer.
 * @returns the geometry; undefined if the numbers are invalid
 */
export function createSessionGeometry(
  manifestSizeBytes: number,
  contentSizeBytes: number,
  mssBytes: number,
  blockSizeBytes = standardBlockSizeBytes,
): SessionGeometry | undefined {
  const isSound =
    Number.isInteger(mssBytes) &&
    mssBytes >= leastMssBytes(blockSizeBytes) &&
    mssBytes <= sessionMssLimits.maxBytes;
  if (!isSound) return undefined;
  const segmentsPerBlock = Math.ceil((blockSizeBytes + tagSizeBytes) / mssBytes);
  const manifestBlockCount = Math.ceil(manifestSizeBytes / blockSizeBytes);
  const blockCount = manifestBlockCount + Math.ceil(contentSizeBytes / blockSizeBytes);
  if (blockCount > maxBlockCount) return undefined;
  return {
    mssBytes,
    segmentsPerBlock,
    blockSizeBytes,
    manifestSizeBytes,
    contentSizeBytes,
    manifestBlockCount,
    blockCount,
  };
}

export function isManifestBlock(geometry: SessionGeometry, block: number): boolean {
  return block < geometry.manifestBlockCount;
}

/** The offset of a block within the manifest or the content. */
export function offsetOfBlock(geometry: SessionGeometry, block: number): number {
  const first = isManifestBlock(geometry, block) ? 0 : geometry.manifestBlockCount;
  return (block - first) * geometry.blockSizeBytes;
}

/** The size of a block before sealing. */
export function sizeOfBlock(geometry: SessionGeometry, block: number): number {
  assert(block < geometry.blockCount, 'a block of this session');
  const { manifestSizeBytes, contentSizeBytes, blockSizeBytes } = geometry;
  const total = isManifestBlock(geometry, block) ? manifestSizeBytes : contentSizeBytes;
  return Math.min(blockSizeBytes, total - offsetOfBlock(geometry, block));
}

export function segmentCountOfBlock(geometry: SessionGeometry, block: number): number {
  return Math.ceil((sizeOfBlock(geometry, block) + tagSizeBytes) / geometry.mssBytes);
}

/** The size of a segment of the sealed block. */
export function sizeOfSegment(geometry: SessionGeometry, block: number, segment: number): number {
  const sealedBytes = sizeOfBlock(geometry, block) + tagSizeBytes;
  return Math.min(geometry.mssBytes, sealedBytes - segment * geometry.mssBytes);
}
