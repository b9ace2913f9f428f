/** The hash function that the core expects its shell to supply. */

/** SHA-256 of the concatenated parts. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array;
