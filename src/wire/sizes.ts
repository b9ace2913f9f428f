/** Sizes that the formats of datagrams and objects rest on. */

export const keySizeBytes = 32;
export const nonceSizeBytes = 12;
/** What sealing adds. */
export const tagSizeBytes = 16;
export const digestSizeBytes = 32;

/** A block's segments are kept as two 32-bit masks for each receiver. */
export const maxSegmentsPerBlock = 64;

/** Largest control message, sealed: it goes in one datagram on any path. */
export const maxControlSizeBytes = 1200;
