/** What the core asks of a hash function. */

/** SHA-256 over the parts, one after another. The core brings none of its own. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array;
