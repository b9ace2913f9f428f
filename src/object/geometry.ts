/**
 * Divides an object into blocks and segments. The manifest and the content are each cut into blocks. Each
 * block is sealed as a whole and then cut into segments. Block numbers start with the blocks of the manifest
 * and continue with those of the content.
 */
import { assert } from '../base/assert.js';
import { maxSegmentsPerBlock, tagSizeBytes } from '../wire/sizes.js';

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
 * Limits of the segment size. Headers would dominate in smaller segments, and larger segments would not fit
 * in a datagram.
 */
export const sessionMssLimits = { minBytes: 64, maxBytes: 65_000 } as const;

/**
 * Maximum number of blocks, which bounds the memory for their digests. With default sizes, an object can hold
 * a terabyte.
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
  segmentsPerBlock: number,
): SessionGeometry | undefined {
  const isSound =
    Number.isInteger(mssBytes) &&
    mssBytes >= sessionMssLimits.minBytes &&
    mssBytes <= sessionMssLimits.maxBytes &&
    Number.isInteger(segmentsPerBlock) &&
    segmentsPerBlock >= 1 &&
    segmentsPerBlock <= maxSegmentsPerBlock;
  if (!isSound) return undefined;
  const blockSizeBytes = mssBytes * segmentsPerBlock - tagSizeBytes;
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
