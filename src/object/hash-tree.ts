/**
 * Leaves and nodes are hashed differently (RFC 6962, section 2.1), so that a leaf cannot be mistaken for a
 * node. The tree itself is in digest-tree.ts.
 */
import type { Hash } from '../base/hash.js';
import { digestSizeBytes } from '../wire/sizes.js';

/** Stands for the digest of a block that a receiver keeps without reading it. No block has this digest. */
export const keptLeaf: Uint8Array = new Uint8Array(digestSizeBytes);

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export function hashLeaf(hash: Hash, block: Uint8Array): Uint8Array {
  return hash(leafPrefix, block);
}

export function hashNode(hash: Hash, left: Uint8Array, right: Uint8Array): Uint8Array {
  return hash(nodePrefix, left, right);
}

/** @returns a copy of the nodes `height` levels above these; a node without a sibling moves up unchanged */
export function hashUp(hash: Hash, digests: Uint8Array, height: number): Uint8Array {
  let level: Uint8Array = digests.slice();
  for (let h = 0; h < height && level.length > digestSizeBytes; h++) level = hashPairs(hash, level);
  return level;
}

function hashPairs(hash: Hash, below: Uint8Array): Uint8Array {
  const count = below.length / digestSizeBytes;
  const above = new Uint8Array(Math.ceil(count / 2) * digestSizeBytes);
  for (let i = 0; i < count; i += 2) {
    const left = digestAt(below, i);
    const node = i + 1 < count ? hashNode(hash, left, digestAt(below, i + 1)) : left;
    above.set(node, (i / 2) * digestSizeBytes);
  }
  return above;
}

export function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * digestSizeBytes, (index + 1) * digestSizeBytes);
}
