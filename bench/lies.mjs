// How often the lying server lies.

/** One of so many blocks that it sends is wrong. */
export const lieBlocks = 1000;

/** The number of the first one. */
export const firstLieBlocks = 500;
