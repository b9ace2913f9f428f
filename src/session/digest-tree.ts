/**
 * The digests of an object's blocks, taken in as blocks complete, in any order, and the tree over them. Every
 * aligned run of 2^k blocks has a node: two sides that differ find the bad block level by level.
 */
import { assert } from '../assert.js';
import { digestSizeBytes } from './crypto.js';
import type { Hash } from './hash-tree.js';
import { hashNode } from './hash-tree.js';

export class DigestTree {
  private readonly leaves: Uint8Array;
  private readonly isKnown: Uint8Array;
  private knownCount = 0;
  /** Levels from the leaves up, made when first asked for. */
  private levels: Uint8Array[] | undefined;

  constructor(
    private readonly hash: Hash,
    readonly blockCount: number,
  ) {
    this.leaves = new Uint8Array(blockCount * digestSizeBytes);
    this.isKnown = new Uint8Array(blockCount);
  }

  get isComplete(): boolean {
    return this.knownCount === this.blockCount;
  }

  has(block: number): boolean {
    return this.isKnown[block] === 1;
  }

  /** Takes in a block's digest, also in place of an earlier one. */
  set(block: number, leaf: Uint8Array): void {
    assert(block < this.blockCount && leaf.length === digestSizeBytes, 'a leaf of this tree');
    if (!this.has(block)) this.knownCount++;
    this.isKnown[block] = 1;
    this.leaves.set(leaf, block * digestSizeBytes);
    this.levels = undefined;
  }

  forget(block: number): void {
    if (!this.has(block)) return;
    this.isKnown[block] = 0;
    this.knownCount--;
    this.levels = undefined;
  }

  leaf(block: number): Uint8Array {
    assert(this.has(block), `the digest of block ${block} is known`);
    return digestAt(this.leaves, block);
  }

  /** The digest of the whole, once every block's is known; of no blocks, the hash of nothing. */
  root(): Uint8Array {
    assert(this.isComplete, 'every digest is known');
    if (this.blockCount === 0) return this.hash();
    // Whole subtrees, largest first, as the bits of the number of blocks so far say: no level is kept.
    const peaks: Uint8Array[] = [];
    for (let block = 0; block < this.blockCount; block++) {
      let node = digestAt(this.leaves, block);
      for (let rest = block; rest % 2 === 1; rest = (rest - 1) / 2) {
        node = hashNode(this.hash, peaks.pop() as Uint8Array, node);
      }
      peaks.push(node);
    }
    let root = peaks.pop() as Uint8Array;
    for (let peak = peaks.pop(); peak !== undefined; peak = peaks.pop()) {
      root = hashNode(this.hash, peak, root);
    }
    return root;
  }

  /** Of the root; 0 where there is one block. */
  get height(): number {
    return this.blockCount < 2 ? 0 : Math.ceil(Math.log2(this.blockCount));
  }

  /** How many nodes there are that cover 2^height blocks, the last one perhaps fewer. */
  nodeCount(height: number): number {
    return Math.ceil(this.blockCount / 2 ** height);
  }

  /** Digests of nodes of one level, one behind the other; as many as there are. */
  nodes(height: number, firstNode: number, count: number): Uint8Array {
    if (height > this.height) return new Uint8Array(0);
    const start = firstNode * digestSizeBytes;
    return this.level(height).slice(start, start + count * digestSizeBytes);
  }

  private level(height: number): Uint8Array {
    assert(this.isComplete, 'every digest is known');
    this.levels ??= [this.leaves];
    for (let h = this.levels.length; h <= height; h++) {
      this.levels.push(this.hashPairs(this.levels[h - 1] as Uint8Array));
    }
    return this.levels[height] as Uint8Array;
  }

  /** A node without a neighbour moves up as it is. */
  private hashPairs(below: Uint8Array): Uint8Array {
    const count = below.length / digestSizeBytes;
    const above = new Uint8Array(Math.ceil(count / 2) * digestSizeBytes);
    for (let i = 0; i < count; i += 2) {
      const left = digestAt(below, i);
      const node = i + 1 < count ? hashNode(this.hash, left, digestAt(below, i + 1)) : left;
      above.set(node, (i / 2) * digestSizeBytes);
    }
    return above;
  }
}

function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * digestSizeBytes, (index + 1) * digestSizeBytes);
}
