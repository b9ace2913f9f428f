/** Sizes shared by the formats of datagrams and objects. */

export const keySizeBytes = 32;
export const nonceSizeBytes = 12;
/** Number of bytes that sealing adds. */
export const tagSizeBytes = 16;
export const digestSizeBytes = 32;
/** Size of a random number that makes a message of use in one session only. */
export const challengeSizeBytes = 16;

/**
 * Size of every block but the last, before sealing. It is the same for every MSS, so the digest of an object
 * depends only on its bytes.
 */
export const standardBlockSizeBytes = 61_440;

/** Maximum number of segments in a block. Higher segment numbers are reserved for parity. */
export const maxSegmentsPerBlock = 128;

/** Maximum size of a sealed control message, which must fit in one datagram on any path. */
export const maxControlSizeBytes = 1200;
