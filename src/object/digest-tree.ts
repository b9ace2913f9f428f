/**
 * A hash tree over the digests of an object's blocks. Digests can be added in any order, as blocks complete.
 * Every aligned run of 2^k blocks has a node, so two sides whose trees differ can find a bad block level by
 * level.
 *
 * A node is hashed as soon as all blocks below it are known, so no single call takes long, however large the
 * object is. The lowest levels are not stored, because they would take as much memory as the block digests.
 */
import { assert } from '../base/assert.js';
import type { Hash } from '../base/hash.js';
import { digestSizeBytes } from '../wire/sizes.js';
import { digestAt, hashNode, hashUp, keptLeaf } from './hash-tree.js';

/** The height of the lowest level of stored nodes, which receivers ask for by groups (SESSIONS 6.11). Each node of that level covers a run of 2^5 blocks. */
export const runHeight = 5;
export const runBlocks = 2 ** runHeight;

/** Nodes of one height. */
interface Level {
  readonly digests: Uint8Array;
  /** For each node, 1 if every block below it is known and the node is hashed. */
  readonly isKnown: Uint8Array;
}

/**
 * The hash tree of a content.
 * @example
 * ```ts
 * import { createHash } from 'node:crypto';
 * import { DigestTree } from 'p2mp/core';
 *
 * const hash = (...parts: readonly Uint8Array[]) =>
 *   createHash('sha256').update(Buffer.concat(parts)).digest();
 * const tree = new DigestTree(hash, 2);
 * tree.set(0, new Uint8Array(32));
 * console.log(tree.isComplete); // false
 * ```
 */
export class DigestTree {
  private readonly leaves: Uint8Array;
  private readonly isKnown: Uint8Array;
  private knownCount = 0;
  /** The number of known blocks of each run. */
  private readonly knownInRun: Uint8Array;
  /** The levels from `runHeight` up to the root. */
  private readonly levels: Level[] = [];
  /** The node of a run of kept blocks. */
  private keptRun: Uint8Array | undefined;
  private keptCount = 0;

  constructor(
    private readonly hash: Hash,
    readonly blockCount: number,
  ) {
    this.leaves = new Uint8Array(blockCount * digestSizeBytes);
    this.isKnown = new Uint8Array(blockCount);
    this.knownInRun = new Uint8Array(this.nodeCount(runHeight));
    for (let height = runHeight; ; height++) {
      const count = this.nodeCount(height);
      const digests = new Uint8Array(count * digestSizeBytes);
      this.levels.push({ digests, isKnown: new Uint8Array(count) });
      if (count <= 1) return;
    }
  }

  get isComplete(): boolean {
    return this.knownCount === this.blockCount;
  }

  /** Whether the digest of a block is known. */
  has(block: number): boolean {
    return this.isKnown[block] === 1;
  }

  /** Sets or replaces a block's digest. */
  set(block: number, leaf: Uint8Array): void {
    assert(block < this.blockCount && leaf.length === digestSizeBytes, 'a leaf of this tree');
    this.forget(block);
    this.knownCount++;
    this.isKnown[block] = 1;
    this.leaves.set(leaf, block * digestSizeBytes);
    const run = Math.floor(block / runBlocks);
    const knownInRun = (this.knownInRun[run] as number) + 1;
    this.knownInRun[run] = knownInRun;
    if (knownInRun === this.runSize(run)) this.raise(run);
  }

  /** Sets the digests of the blocks from `start` to before `end`, none of them known yet, to `keptLeaf`. */
  keep(start: number, end: number): void {
    this.keptCount += end - start;
    for (let block = start; block < end; ) {
      const run = Math.floor(block / runBlocks);
      const isWholeRun = block % runBlocks === 0 && block + runBlocks <= end;
      if (!isWholeRun || this.knownInRun[run] !== 0) {
        this.set(block++, keptLeaf);
        continue;
      }
      const next = block + runBlocks;
      this.leaves.fill(0, block * digestSizeBytes, next * digestSizeBytes);
      this.isKnown.fill(1, block, next);
      this.knownInRun[run] = runBlocks;
      this.knownCount += runBlocks;
      this.keptRun ??= hashKeptRun(this.hash);
      this.raise(run, this.keptRun);
      block = next;
    }
  }

  /** Whether the digests of some blocks stand for content that nobody reads. */
  get keepsBlocks(): boolean {
    return this.keptCount > 0;
  }

  /** The number of blocks whose digest is known. */
  get count(): number {
    return this.knownCount;
  }

  /** Forgets the digest of a block. */
  forget(block: number): void {
    if (!this.has(block)) return;
    this.isKnown[block] = 0;
    this.knownCount--;
    const run = Math.floor(block / runBlocks);
    this.knownInRun[run] = (this.knownInRun[run] as number) - 1;
    let node = run;
    for (const { isKnown } of this.levels) {
      if (isKnown[node] === 0) return;
      isKnown[node] = 0;
      node = Math.floor(node / 2);
    }
  }

  /** The digest of a block, which must be known. */
  leaf(block: number): Uint8Array {
    assert(this.has(block), `the digest of block ${block} is known`);
    return digestAt(this.leaves, block);
  }

  /**
   * The root. Every block's digest must be known. The root of an empty tree is the hash of the empty
   * string.
   */
  root(): Uint8Array {
    assert(this.isComplete, 'every digest is known');
    if (this.blockCount === 0) return this.hash();
    return (this.levels.at(-1) as Level).digests.slice();
  }

  /** The height of the root; 0 for one block. */
  get height(): number {
    return this.blockCount < 2 ? 0 : Math.ceil(Math.log2(this.blockCount));
  }

  /** The number of nodes at a height. Each node covers 2^height blocks; the last node can cover fewer. */
  nodeCount(height: number): number {
    return Math.ceil(this.blockCount / 2 ** height);
  }

  /** The concatenated digests of `count` nodes of one level, or of fewer nodes if the level ends first. */
  nodes(height: number, firstNode: number, count: number): Uint8Array {
    assert(this.isComplete, 'every digest is known');
    if (height > this.height || firstNode >= this.nodeCount(height)) return new Uint8Array(0);
    const end = Math.min(firstNode + count, this.nodeCount(height));
    const level = this.levels[height - runHeight];
    if (level !== undefined) {
      return level.digests.slice(firstNode * digestSizeBytes, end * digestSizeBytes);
    }
    const width = 2 ** height;
    const leaves = this.leaves.subarray(
      firstNode * width * digestSizeBytes,
      Math.min(end * width, this.blockCount) * digestSizeBytes,
    );
    return hashUp(this.hash, leaves, height);
  }

  /** The node of a run of 2^5 blocks. The digests of all its blocks must be known. */
  runNode(run: number): Uint8Array {
    const [level] = this.levels;
    assert(level?.isKnown[run] === 1, 'the digests of the run are known');
    return digestAt(level.digests, run);
  }

  private runSize(run: number): number {
    return Math.min(runBlocks, this.blockCount - run * runBlocks);
  }

  /**
   * Called when the digests of all blocks of a run are known. Sets the node of the run, and each ancestor
   * whose descendants are now all known.
   * @param known the node of the run; computed if undefined
   */
  private raise(run: number, known?: Uint8Array): void {
    const start = run * runBlocks * digestSizeBytes;
    const leaves = this.leaves.subarray(start, start + this.runSize(run) * digestSizeBytes);
    let digest = known ?? hashUp(this.hash, leaves, runHeight);
    let node = run;
    for (const { digests, isKnown } of this.levels) {
      digests.set(digest, node * digestSizeBytes);
      isKnown[node] = 1;
      const left = node - (node % 2);
      if (left + 1 < isKnown.length) {
        if (isKnown[left] === 0 || isKnown[left + 1] === 0) return;
        digest = hashNode(this.hash, digestAt(digests, left), digestAt(digests, left + 1));
      }
      node = left / 2;
    }
  }
}

/** @returns the node above a run whose blocks are all kept */
export function hashKeptRun(hash: Hash): Uint8Array {
  return hashUp(hash, new Uint8Array(runBlocks * digestSizeBytes), runHeight);
}
