/**
 * Fetches the leaf digests of the content from the sender of one session, and compares the blocks that the receiver has
 * with them (SESSIONS 6.11).
 */
import type { TimeMs } from '../../base/machine.js';
import { RangeSet } from '../../base/range-set.js';
import type { DigestTree } from '../../object/digest-tree.js';
import { keptLeaf } from '../../object/hash-tree.js';
import type { LeafDigests, NodeGroup } from '../../object/leaf-digests.js';
import { requestOf } from '../../object/leaf-digests.js';
import { retryTiming } from '../../transfer/config.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Nodes, NodesRequest } from '../../wire/tree-nodes.js';

/** Maximum number of requests in flight. Their answers take 16 KiB. */
const concurrentRequests = 16;

/** Groups of leaves to compare in one go. This takes less than a millisecond. */
const groupsAtOnce = 256;

/** A request without an answer yet. */
interface PendingRequest {
  readonly group: NodeGroup;
  readonly sentAtMs: TimeMs;
}

/** A block whose digest is not its leaf. */
export interface WrongBlock {
  /** The number of the block within the content. */
  readonly block: number;
  /** Whether it came in this session. If not, the disk held it. */
  readonly hasArrived: boolean;
}

export class LeafReception {
  /** The request that was sent longest ago is the first. */
  private pending: PendingRequest[] = [];
  private waitMs: number = retryTiming.firstMs;
  /** The number of groups of leaves that the blocks were compared with. */
  private comparedCount = 0;
  /** Blocks that came in this session before their leaves were known. */
  private readonly unchecked = new RangeSet();
  private readonly isPending = (group: NodeGroup) =>
    this.pending.some((request) => request.group === group);

  /** @param tree the digests of the blocks that the receiver has */
  constructor(
    private readonly leaves: LeafDigests,
    private readonly tree: DigestTree,
  ) {}

  /** Whether all leaves are known and every block was compared with its leaf. */
  get isOver(): boolean {
    return this.leaves.isComplete && !this.isComparisonDue;
  }

  // --- Requests

  /** The requests to send now. */
  *requests(nowMs: TimeMs): Generator<NodesRequest> {
    while (this.pending.length < concurrentRequests) {
      const group = this.leaves.next(this.isPending);
      if (group === undefined) return;
      this.pending.push({ group, sentAtMs: nowMs });
      yield requestOf(group);
    }
  }

  get dueAtMs(): TimeMs {
    const [oldest] = this.pending;
    return oldest === undefined ? Infinity : oldest.sentAtMs + this.waitMs;
  }

  /** The requests to repeat now. */
  *repetitions(nowMs: TimeMs): Generator<NodesRequest> {
    if (nowMs < this.dueAtMs) return;
    const { pending, waitMs } = this;
    const late = pending.filter(({ sentAtMs }) => nowMs >= sentAtMs + waitMs);
    const others = pending.slice(late.length);
    // Another session may have got some of the groups from another sender.
    const needed = late.filter(({ group }) => !this.leaves.isKnown(group));
    this.pending = [...others, ...needed.map(({ group }) => ({ group, sentAtMs: nowMs }))];
    this.waitMs = Math.min(waitMs * retryTiming.growth, retryTiming.maxMs);
    for (const { group } of needed) yield requestOf(group);
  }

  /** @returns false if the nodes were requested, but do not lead to the root of the content */
  take({ height, firstNode, digests }: Nodes): boolean {
    const place = this.pending.findIndex(
      ({ group }) => group.height === height && group.firstNode === firstNode,
    );
    const [request] = place === -1 ? [] : this.pending.splice(place, 1);
    if (request === undefined) return true;
    this.waitMs = retryTiming.firstMs;
    return this.leaves.take(request.group, digests);
  }

  // --- Comparison

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
