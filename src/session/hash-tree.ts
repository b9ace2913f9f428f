/**
 * The tree of digests that names an object: blocks are hashed in any order, each as it completes, and
 * the root stands for all of them. The tree is that of RFC 6962, section 2.1, so leaves and nodes cannot
 * be taken for each other, and every aligned run of 2^k blocks has a node of its own: two sides that
 * differ find the bad block level by level.
 */
import { assert } from '../assert.js';

/** SHA-256 over the parts, one after another. The core brings none of its own. */
export type Hash = (...parts: readonly Uint8Array[]) => Uint8Array;

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export function hashLeaf(hash: Hash, block: Uint8Array): Uint8Array {
  return hash(leafPrefix, block);
}

/**
 * @param digests of all blocks, or of all nodes of one level, in order
 * @returns the digest of the whole; of nothing, the hash of nothing
 */
export function hashRoot(hash: Hash, digests: readonly Uint8Array[]): Uint8Array {
  let level = digests;
  while (level.length > 1) level = hashPairs(hash, level);
  return level[0] ?? hash();
}

/** @returns the digests of the nodes that cover 2^`height` blocks each; the last may cover fewer */
export function hashLevel(
  hash: Hash,
  leaves: readonly Uint8Array[],
  height: number,
): readonly Uint8Array[] {
  assert(Number.isInteger(height) && height >= 0, 'the height of a level is a whole number');
  let level = leaves;
  for (let i = 0; i < height && level.length > 1; i++) level = hashPairs(hash, level);
  return level;
}

/** A node without a neighbour moves up as it is: that gives the splits of the RFC. */
function hashPairs(hash: Hash, digests: readonly Uint8Array[]): Uint8Array[] {
  const pairs: Uint8Array[] = [];
  for (let i = 0; i < digests.length; i += 2) {
    const [left, right] = [digests[i] as Uint8Array, digests[i + 1]];
    pairs.push(right === undefined ? left : hash(nodePrefix, left, right));
  }
  return pairs;
}
