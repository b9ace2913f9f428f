/** Sizes of datagrams, and of the batches that one system call can send. */

import { sessionHeaderSizeBytes } from './header.js';
import { tagSizeBytes } from './sizes.js';

/** The size of a tagged data datagram without its segment. */
export const dataFramingBytes = sessionHeaderSizeBytes + tagSizeBytes;

/**
 * Segment sizes to try one after another if larger ones do not arrive: 1400 fits common tunnels over Ethernet, 1200 any
 * IPv6 path (MTU 1280), and 508 any IPv4 host (576).
 */
const commonMssBytes = [1400, 1200, 508];

/** @returns the next segment size to try after one that was too large; undefined if there is none */
export function nextSmallerMssBytes(mssBytes: number): number | undefined {
  return commonMssBytes.find((smaller) => smaller < mssBytes);
}

/** Maximum number of bytes that the kernel accepts in one send call, over IPv4 or IPv6. */
const maxSendBytes = 65_469;

/** Maximum number of datagrams that the kernel accepts in one send call. Newer kernels accept 128. */
const maxSendDatagrams = 64;

/** Number of segments that one system call can send. */
export function maxBatchSegments(mssBytes: number): number {
  const count = Math.floor(maxSendBytes / (mssBytes + dataFramingBytes));
  return Math.max(1, Math.min(maxSendDatagrams, count));
}
