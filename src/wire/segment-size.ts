/** Sizes of segments and blocks, so that a datagram fits its path and a block fits one system call. */

import { sessionHeaderSizeBytes } from './header.js';
import { maxSegmentsPerBlock, tagSizeBytes } from './sizes.js';

/** The size of a tagged data datagram without its segment. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/**
 * The most bytes that the system takes in one call, by IPv4 or IPv6. A block whose datagrams fit, tags included,
 * is sent by a single call.
 */
const maxSendBytes = 65_469;

/** The number of segments that one system call can send. */
export function segmentsPerBlockFor(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSegmentsPerBlock, count));
}
