/** Sizes of datagrams, and of the batches that one system call can send. */

import { sessionHeaderSizeBytes } from './header.js';
import { tagSizeBytes } from './sizes.js';

/** The size of a tagged data datagram without its segment. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/** Maximum number of bytes that the kernel accepts in one send call, over IPv4 or IPv6. */
const maxSendBytes = 65_469;

/** Maximum number of datagrams that the kernel accepts in one send call. Newer kernels accept 128. */
const maxSendDatagrams = 64;

/** Number of segments that one system call can send. */
export function maxBatchSegments(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSendDatagrams, count));
}
