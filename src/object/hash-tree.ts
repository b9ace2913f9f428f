/**
 * How digests of blocks are joined to the one digest that names an object: as in RFC 6962, section 2.1, so
 * leaves and nodes cannot be taken for each other. The tree itself is digest-tree.ts.
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
