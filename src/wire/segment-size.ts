/** Sizes of segments and blocks. They make a datagram fit its path and a block fit one system call. */

import { sessionHeaderSizeBytes } from './header.js';
import { maxSegmentsPerBlock, tagSizeBytes } from './sizes.js';

/** The size of a tagged data datagram without its segment. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/**
 * The most bytes that the system takes in one call, over IPv4 or IPv6. If the datagrams of a block and their tags are
 * no larger, one call sends the whole block.
 */
const maxSendBytes = 65_469;

/** The number of segments that one system call can send. */
export function segmentsPerBlockFor(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSegmentsPerBlock, count));
}
