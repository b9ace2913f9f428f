/** Sizes shared by the formats of datagrams and objects. */

export const keySizeBytes = 32;
export const nonceSizeBytes = 12;
/** Number of bytes that sealing adds. */
export const tagSizeBytes = 16;
export const digestSizeBytes = 32;

/** Maximum number of segments in a block. */
export const maxSegmentsPerBlock = 64;

/** Maximum size of a sealed control message, which must fit in one datagram on any path. */
export const maxControlSizeBytes = 1200;
