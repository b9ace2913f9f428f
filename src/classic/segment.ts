/**
 * Converts between file sizes, blocks, segments and offsets. Segments are numbered from 0. Each segment
 * except the last has exactly MSS bytes (PROTOCOL 3.1). A block is a run of consecutive segments.
 */

import { P2mpError } from '../base/errors.js';
import { maxSegmentsPerBlock } from '../wire/sizes.js';
import { maxMssBytes, maxSegmentCount } from './config.js';

/** How a file is divided into blocks and segments. Sizes are in bytes. */
export interface Geometry {
  readonly sizeBytes: number;
  readonly mssBytes: number;
  readonly segmentsPerBlock: number;
  readonly segmentCount: number;
  readonly blockCount: number;
}

/**
 * Divides a file into segments and blocks.
 * @throws P2mpError INVALID_ARGUMENT for sizes out of range
 * @example
 * ```ts
 * import { createGeometry } from 'p2mp/core';
 *
 * const { segmentCount, blockCount } = createGeometry(10_000, 1400, 4);
 * console.log(segmentCount, blockCount); // 8 2
 * ```
 */
export function createGeometry(
  sizeBytes: number,
  mssBytes: number,
  segmentsPerBlock: number,
): Geometry {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new P2mpError('INVALID_ARGUMENT', `file size ${sizeBytes}: not a number of bytes`);
  }
  checkMss(mssBytes);
  if (
    !Number.isInteger(segmentsPerBlock) ||
    segmentsPerBlock < 1 ||
    segmentsPerBlock > maxSegmentsPerBlock
  ) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `block of ${segmentsPerBlock} segments: must have from 1 to ${maxSegmentsPerBlock} segments`,
    );
  }
  const segmentCount = Math.ceil(sizeBytes / mssBytes);
  if (segmentCount > maxSegmentCount) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `MSS ${mssBytes}: too small for a file of ${sizeBytes} bytes, whose ${segmentCount} segments ` +
        `exceed 32-bit sequence numbers; ${remedyForSize(sizeBytes)}`,
    );
  }
  return {
    sizeBytes,
    mssBytes,
    segmentsPerBlock,
    segmentCount,
    blockCount: Math.ceil(segmentCount / segmentsPerBlock),
  };
}

/**
 * Checks that a segment of this size fits in a datagram.
 * @throws P2mpError INVALID_ARGUMENT
 * @example
 * ```ts
 * import { checkMss } from 'p2mp/core';
 *
 * checkMss(1400);
 * ```
 */
export function checkMss(mssBytes: number): void {
  if (Number.isInteger(mssBytes) && mssBytes >= 1 && mssBytes <= maxMssBytes) return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `MSS ${mssBytes}: must be a whole number of bytes from 1 to ${maxMssBytes}`,
  );
}

function remedyForSize(sizeBytes: number): string {
  const leastMssBytes = Math.ceil(sizeBytes / maxSegmentCount);
  return leastMssBytes <= maxMssBytes
    ? `use an MSS of at least ${leastMssBytes}`
    : 'split the file';
}

/**
 * Index of a block's first segment; `segmentCount` if the block index is `blockCount`.
 * @example
 * ```ts
 * import { createGeometry, firstSegment } from 'p2mp/core';
 *
 * console.log(firstSegment(createGeometry(10_000, 1400, 4), 1)); // 4
 * ```
 */
export function firstSegment(geometry: Geometry, blockIndex: number): number {
  return Math.min(blockIndex * geometry.segmentsPerBlock, geometry.segmentCount);
}

/**
 * Number of segments in a block; the last block may have fewer.
 * @example
 * ```ts
 * import { createGeometry, segmentsInBlock } from 'p2mp/core';
 *
 * console.log(segmentsInBlock(createGeometry(10_000, 1400, 5), 1)); // 3
 * ```
 */
export function segmentsInBlock(geometry: Geometry, blockIndex: number): number {
  return firstSegment(geometry, blockIndex + 1) - firstSegment(geometry, blockIndex);
}

/**
 * Offset of a segment in the file; the size of the file if the segment index is `segmentCount`.
 * @example
 * ```ts
 * import { createGeometry, segmentOffsetBytes } from 'p2mp/core';
 *
 * console.log(segmentOffsetBytes(createGeometry(10_000, 1400, 4), 7)); // 9800
 * ```
 */
export function segmentOffsetBytes(geometry: Geometry, segmentIndex: number): number {
  return Math.min(segmentIndex * geometry.mssBytes, geometry.sizeBytes);
}

/**
 * Payload size of a segment; the last segment may be shorter than the MSS.
 * @example
 * ```ts
 * import { createGeometry, segmentSizeBytes } from 'p2mp/core';
 *
 * console.log(segmentSizeBytes(createGeometry(10_000, 1400, 4), 7)); // 200
 * ```
 */
export function segmentSizeBytes(geometry: Geometry, segmentIndex: number): number {
  return (
    segmentOffsetBytes(geometry, segmentIndex + 1) - segmentOffsetBytes(geometry, segmentIndex)
  );
}

/**
 * Offset of a block in the file.
 * @example
 * ```ts
 * import { blockOffsetBytes, createGeometry } from 'p2mp/core';
 *
 * console.log(blockOffsetBytes(createGeometry(10_000, 1400, 4), 1)); // 5600
 * ```
 */
export function blockOffsetBytes(geometry: Geometry, blockIndex: number): number {
  return segmentOffsetBytes(geometry, firstSegment(geometry, blockIndex));
}

/**
 * Payload size of a block.
 * @example
 * ```ts
 * import { blockSizeBytes, createGeometry } from 'p2mp/core';
 *
 * console.log(blockSizeBytes(createGeometry(10_000, 1400, 4), 1)); // 4400
 * ```
 */
export function blockSizeBytes(geometry: Geometry, blockIndex: number): number {
  return blockOffsetBytes(geometry, blockIndex + 1) - blockOffsetBytes(geometry, blockIndex);
}
