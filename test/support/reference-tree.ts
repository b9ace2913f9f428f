/** A plain implementation of the tree of RFC 6962, 2.1, as reference. */
import { strict as assert } from 'node:assert';
import type { Hash } from '../../src/base/hash.js';
import { hashNode } from '../../src/object/hash-tree.js';

/**
 * @param digests of all blocks, or of all nodes of one level, in order
 * @returns the root; for no digests, the hash of nothing
 */
export function hashRoot(hash: Hash, digests: readonly Uint8Array[]): Uint8Array {
  let level = digests;
  while (level.length > 1) level = hashPairs(hash, level);
  return level[0] ?? hash();
}

/** @returns the digests of the nodes of 2^`height` blocks each; the last may cover fewer */
export function hashLevel(
  hash: Hash,
  leaves: readonly Uint8Array[],
  height: number,
): readonly Uint8Array[] {
  assert.ok(Number.isInteger(height) && height >= 0, 'the height of a level is a whole number');
  let level = leaves;
  for (let i = 0; i < height && level.length > 1; i++) level = hashPairs(hash, level);
  return level;
}

/** A node without a sibling moves up unchanged, which gives the splits of the RFC. */
function hashPairs(hash: Hash, digests: readonly Uint8Array[]): Uint8Array[] {
  const pairs: Uint8Array[] = [];
  for (let i = 0; i < digests.length; i += 2) {
    const [left, right] = [digests[i] as Uint8Array, digests[i + 1]];
    pairs.push(right === undefined ? left : hashNode(hash, left, right));
  }
  return pairs;
}
