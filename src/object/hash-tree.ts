/**
 * Leaves and nodes are hashed differently (RFC 6962, section 2.1), so that a leaf cannot be mistaken for a
 * node. The tree itself is in digest-tree.ts.
 */
import type { Hash } from '../base/hash.js';

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export function hashLeaf(hash: Hash, block: Uint8Array): Uint8Array {
  return hash(leafPrefix, block);
}

export function hashNode(hash: Hash, left: Uint8Array, right: Uint8Array): Uint8Array {
  return hash(nodePrefix, left, right);
}
