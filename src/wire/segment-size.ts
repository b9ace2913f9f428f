/** Sizes of segments and blocks, chosen so that a datagram fits its path and a block fits one system call. */

import { sessionHeaderSizeBytes } from './header.js';
import { maxSegmentsPerBlock, tagSizeBytes } from './sizes.js';

/** The size of a tagged data datagram without its segment. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/**
 * Maximum number of bytes that the kernel accepts in one send call, over IPv4 or IPv6. If all datagrams of a
 * block, including their tags, are no larger in total, one call sends the whole block.
 */
const maxSendBytes = 65_469;

/** Number of segments in a block that one system call can send. */
export function segmentsPerBlockFor(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSegmentsPerBlock, count));
}
