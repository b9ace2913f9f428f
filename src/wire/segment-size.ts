/** How large segments and blocks are, so that datagrams fit their path and blocks one send. */

import { sessionHeaderSizeBytes } from './header.js';
import { maxSegmentsPerBlock, tagSizeBytes } from './sizes.js';

/** What a datagram of data holds besides its segment, once data bears tags. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/**
 * What the system takes in one send, by IPv4 or IPv6: a block whose datagrams fit goes out in a single
 * call, tags and all.
 */
const maxSendBytes = 65_469;

/** As many segments in a block as one send holds. */
export function segmentsPerBlockFor(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSegmentsPerBlock, count));
}
