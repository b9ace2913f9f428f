/**
 * Fetches the leaf digests of the content from the sender of one session, and compares the blocks that the receiver has
 * with them (SESSIONS 6.11).
 */
import { RangeSet } from '../../base/range-set.js';
import type { DigestTree } from '../../object/digest-tree.js';
import { keptLeaf } from '../../object/hash-tree.js';
import type { LeafDigests } from '../../object/leaf-digests.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { LeafRequests } from './leaf-requests.js';

/** Groups of leaves to compare in one go. This takes less than a millisecond. */
const groupsAtOnce = 256;

/** A block whose digest is not its leaf. */
export interface WrongBlock {
  /** The number of the block within the content. */
  readonly block: number;
  /** Whether it came in this session. If not, the disk held it. */
  readonly hasArrived: boolean;
}

export class LeafReception extends LeafRequests {
  /** The number of groups of leaves that the blocks were compared with. */
  private comparedCount = 0;
  /** Blocks that came in this session before their leaves were known. */
  private readonly unchecked = new RangeSet();

  /** @param tree the digests of the blocks that the receiver has */
  constructor(
    leaves: LeafDigests,
    private readonly tree: DigestTree,
  ) {
    super(leaves);
  }

  /** Whether all leaves are known and every block was compared with its leaf. */
  get isOver(): boolean {
    return this.leaves.isComplete && !this.isComparisonDue;
  }

  /** Whether a block that has arrived can be the right one. If its leaf is not known yet, it is compared later. */
  accepts(block: number, digest: Uint8Array): boolean {
    const leaf = this.leaves.leaf(block);
    if (leaf !== undefined) return isEqualBytes(leaf, digest);
    this.unchecked.add(block, block + 1);
    return true;
  }

  /** Whether leaves have become known that the blocks were not compared with yet. */
  get isComparisonDue(): boolean {
    return this.comparedCount < this.leaves.arrivalCount;
  }

  /** Compares the blocks with leaves that have become known, up to a limit. */
  compare(): WrongBlock[] {
    const wrong: WrongBlock[] = [];
    const end = Math.min(this.comparedCount + groupsAtOnce, this.leaves.arrivalCount);
    for (; this.comparedCount < end; this.comparedCount++) {
      const range = this.leaves.arrival(this.comparedCount);
      for (let block = range.start; block < range.end; block++) {
        if (this.isWrong(block)) wrong.push({ block, hasArrived: this.unchecked.has(block) });
      }
      this.unchecked.remove(range.start, range.end);
    }
    return wrong;
  }

  private isWrong(block: number): boolean {
    if (!this.tree.has(block)) return false;
    const own = this.tree.leaf(block);
    const leaf = this.leaves.leaf(block);
    return leaf !== undefined && !isEqualBytes(own, leaf) && !isEqualBytes(own, keptLeaf);
  }
}
