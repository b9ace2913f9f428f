/**
 * The digest tree of a receiver that keeps some blocks without reading them. Those blocks have `keptLeaf` as their
 * digest, so that the sender need not read them either. All other digests are those of the sender's own tree.
 */
import type { Hash } from '../base/hash.js';
import type { RangeSet } from '../base/range-set.js';
import { digestSizeBytes } from '../wire/sizes.js';
import type { DigestTree } from './digest-tree.js';
import { hashKeptRun, runBlocks, runHeight } from './digest-tree.js';
import { hashUp, keptLeaf } from './hash-tree.js';

export class MaskedTree {
  /** Concatenated nodes of each level, from `runHeight` up to the root. */
  private readonly levels: Uint8Array[] = [];

  /**
   * Hashes only runs of which the receiver keeps some blocks but not all, and the levels above the runs.
   * @param kept blocks that the receiver keeps; the digests of all others must be known
   */
  constructor(
    private readonly hash: Hash,
    private readonly tree: DigestTree,
    private readonly kept: RangeSet,
  ) {
    const runCount = tree.nodeCount(runHeight);
    let level: Uint8Array = new Uint8Array(runCount * digestSizeBytes);
    const keptRun = hashKeptRun(hash);
    for (let run = 0; run < runCount; run++)
      level.set(this.runNode(run, keptRun), run * digestSizeBytes);
    this.levels.push(level);
    while (level.length > digestSizeBytes) {
      level = hashUp(hash, level, 1);
      this.levels.push(level);
    }
  }

  /** The root that this receiver computes if all its blocks are right. */
  root(): Uint8Array {
    return (this.levels.at(-1) as Uint8Array).slice();
  }

  /** The concatenated digests of up to `count` nodes of one level; fewer if the level ends before that. */
  nodes(height: number, firstNode: number, count: number): Uint8Array {
    const { tree } = this;
    if (height > tree.height || firstNode >= tree.nodeCount(height)) return new Uint8Array(0);
    const end = Math.min(firstNode + count, tree.nodeCount(height));
    const level = this.levels[height - runHeight];
    if (level !== undefined) return level.slice(firstNode * digestSizeBytes, end * digestSizeBytes);
    const width = 2 ** height;
    const leaves = this.leaves(firstNode * width, Math.min(end * width, tree.blockCount));
    return hashUp(this.hash, leaves, height);
  }

  private runNode(run: number, keptRun: Uint8Array): Uint8Array {
    const start = run * runBlocks;
    const end = Math.min(start + runBlocks, this.tree.blockCount);
    const [gap] = this.kept.gaps(start, end);
    if (gap === undefined && end - start === runBlocks) return keptRun;
    if (gap?.start === start && gap.end === end) return this.tree.runNode(run);
    return hashUp(this.hash, this.leaves(start, end), runHeight);
  }

  private leaves(start: number, end: number): Uint8Array {
    const leaves = new Uint8Array((end - start) * digestSizeBytes);
    for (let block = start; block < end; block++) {
      const leaf = this.kept.has(block) ? keptLeaf : this.tree.leaf(block);
      leaves.set(leaf, (block - start) * digestSizeBytes);
    }
    return leaves;
  }
}
