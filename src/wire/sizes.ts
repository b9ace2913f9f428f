/** Sizes shared by the formats of datagrams and objects. */

export const keySizeBytes = 32;
export const nonceSizeBytes = 12;
/** The bytes that sealing adds. */
export const tagSizeBytes = 16;
export const digestSizeBytes = 32;

/** The limit is 64, because two 32-bit masks for each receiver record the segments of a block. */
export const maxSegmentsPerBlock = 64;

/** The largest sealed control message: it fits in one datagram on any path. */
export const maxControlSizeBytes = 1200;
