/**
 * The leaf digests of a content, as far as they are known and lead to its root. They are fetched in groups from the
 * root downwards, and each group is checked against the node above it. A wrong group from any sender is
 * therefore noticed at once, and sessions that fetch the same content from several senders can fill one set.
 */
import { assert } from '../base/assert.js';
import type { Hash } from '../base/hash.js';
import type { TimeMs } from '../base/machine.js';
import type { Range } from '../base/range-set.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { digestSizeBytes } from '../wire/sizes.js';
import type { NodesRequest } from '../wire/tree-nodes.js';
import { maxNodesPerMessage } from '../wire/tree-nodes.js';
import { digestAt, hashUp } from './hash-tree.js';

/** The heights of the fetched nodes are multiples of this one. A group then fits in one message. */
const groupHeight = Math.log2(maxNodesPerMessage);

/** A request that has no answer after this time is given to another sender, too, because its own may be slow or gone. */
const patienceMs = 100;

/** The nodes below one node. */
export interface NodeGroup {
  readonly height: number;
  readonly firstNode: number;
  readonly count: number;
}

/** Nodes whose height is a multiple of `groupHeight`. */
interface Level {
  readonly digests: Uint8Array;
  /** For each group, 1 if its nodes are known. */
  readonly isKnown: Uint8Array;
}

/**
 * Leaf digests that lead to a content root; filled from the answers of one or more senders.
 * @example
 * ```ts
 * import { createHash } from 'node:crypto';
 * import { LeafDigests } from 'p2mp/core';
 *
 * const hash = (...parts: readonly Uint8Array[]) =>
 *   createHash('sha256').update(Buffer.concat(parts)).digest();
 * // The root of a single block is its leaf.
 * const leaves = LeafDigests.create(hash, 1, new Uint8Array(32).fill(7));
 * console.log(leaves?.isComplete, leaves?.leaf(0)?.[0]); // true 7
 * ```
 */
export class LeafDigests {
  /** The leaves, and the levels above them up to below the root. */
  private readonly levels: Level[] = [];
  /** Groups below known nodes, those of the first blocks last. Nobody has asked for them yet. */
  private readonly open: NodeGroup[] = [];
  /** When somebody has asked for a group. The group that was asked for last is at the end. */
  private readonly asked = new Map<NodeGroup, TimeMs>();
  /** The known groups of leaves, in the order in which they became known. */
  private readonly arrivals: number[] = [];

  private constructor(
    private readonly hash: Hash,
    readonly blockCount: number,
    readonly root: Uint8Array,
  ) {
    for (let height = 0; ; height += groupHeight) {
      const count = Math.ceil(blockCount / 2 ** height);
      const isKnown = new Uint8Array(Math.ceil(count / maxNodesPerMessage));
      this.levels.push({ digests: new Uint8Array(count * digestSizeBytes), isKnown });
      if (count <= maxNodesPerMessage) {
        if (blockCount > 1) this.open.push({ height, firstNode: 0, count });
        break;
      }
    }
    if (blockCount === 1) this.add({ height: 0, firstNode: 0, count: 1 }, root);
  }

  /** @returns undefined if no content of so many blocks has this root */
  static create(hash: Hash, blockCount: number, root: Uint8Array): LeafDigests | undefined {
    if (blockCount === 0 && !isEqualBytes(root, hash())) return undefined;
    return new LeafDigests(hash, blockCount, root);
  }

  /** Takes the digests of all blocks, which the caller has compared with the root. */
  fill(leaves: Uint8Array): void {
    const { digests, isKnown } = this.leafLevel;
    assert(leaves.length === digests.length, 'the digests of all blocks');
    digests.set(leaves);
    for (const group of isKnown.keys()) if (isKnown[group] !== 1) this.arrivals.push(group);
    isKnown.fill(1);
    this.open.length = 0;
  }

  /** The concatenated digests of all blocks, once they are complete. */
  get all(): Uint8Array {
    assert(this.isComplete, 'every digest is known');
    return this.leafLevel.digests;
  }

  get isComplete(): boolean {
    return this.arrivals.length === this.leafLevel.isKnown.length;
  }

  /** The digest of a block; undefined if it is not known yet. */
  leaf(block: number): Uint8Array | undefined {
    const { digests, isKnown } = this.leafLevel;
    const isPresent = isKnown[Math.floor(block / maxNodesPerMessage)] === 1;
    return isPresent ? digestAt(digests, block) : undefined;
  }

  // --- What is known

  /** The number of groups of leaves that are known. Never shrinks. */
  get arrivalCount(): number {
    return this.arrivals.length;
  }

  /** The blocks of a group of leaves, by the group's place in the order in which they became known. */
  arrival(place: number): Range {
    const group = this.arrivals[place];
    assert(group !== undefined, 'a known group');
    const start = group * maxNodesPerMessage;
    return { start, end: Math.min(start + maxNodesPerMessage, this.blockCount) };
  }

  // --- Requests

  /**
   * The next group to ask a sender for, if any: one that nobody has asked for, one of the few above the leaves, for which
   * everybody waits, or one for which somebody else has waited too long.
   * @param isOwn whether the caller is waiting for this group already
   */
  next(nowMs: TimeMs, isOwn: (group: NodeGroup) => boolean): NodeGroup | undefined {
    if (nowMs < this.nextAtMs(isOwn)) return undefined;
    const group = this.open.pop() ?? this.askedOfOthers(isOwn).group;
    if (group === undefined) return undefined;
    this.asked.delete(group);
    this.asked.set(group, nowMs);
    return group;
  }

  /** From when on there is a group to ask a sender for. */
  nextAtMs(isOwn: (group: NodeGroup) => boolean): TimeMs {
    return this.open.length > 0 ? 0 : this.askedOfOthers(isOwn).dueAtMs;
  }

  /** The group for which others wait that can be asked for first, and from when on. */
  private askedOfOthers(isOwn: (group: NodeGroup) => boolean) {
    let first: { readonly group?: NodeGroup; readonly dueAtMs: TimeMs } = { dueAtMs: Infinity };
    for (const [group, askedAtMs] of this.asked) {
      const dueAtMs = group.height > 0 ? 0 : askedAtMs + patienceMs;
      if (dueAtMs < first.dueAtMs && !isOwn(group)) first = { group, dueAtMs };
    }
    return first;
  }

  /** Whether the nodes of a group are known. */
  isKnown({ height, firstNode }: NodeGroup): boolean {
    const level = this.levels[height / groupHeight] as Level;
    return level.isKnown[firstNode / maxNodesPerMessage] === 1;
  }

  /**
   * Takes the nodes of a group.
   * @returns false if they do not lead to the root
   */
  take(group: NodeGroup, digests: Uint8Array): boolean {
    if (digests.length !== group.count * digestSizeBytes) return false;
    if (this.isKnown(group)) return isEqualBytes(digests, this.nodesOf(group));
    const above = this.levels[group.height / groupHeight + 1];
    const expected =
      above === undefined
        ? this.root
        : digestAt(above.digests, group.firstNode / maxNodesPerMessage);
    if (!isEqualBytes(hashUp(this.hash, digests, groupHeight), expected)) return false;
    this.asked.delete(group);
    this.add(group, digests);
    return true;
  }

  private add(group: NodeGroup, digests: Uint8Array): void {
    const { height, firstNode, count } = group;
    const level = this.levels[height / groupHeight] as Level;
    level.digests.set(digests, firstNode * digestSizeBytes);
    level.isKnown[firstNode / maxNodesPerMessage] = 1;
    if (height === 0) this.arrivals.push(firstNode / maxNodesPerMessage);
    else
      for (let i = count - 1; i >= 0; i--) this.open.push(this.groupBelow(height, firstNode + i));
  }

  private groupBelow(height: number, node: number): NodeGroup {
    const below = height - groupHeight;
    const firstNode = node * maxNodesPerMessage;
    const levelCount = Math.ceil(this.blockCount / 2 ** below);
    const count = Math.min(maxNodesPerMessage, levelCount - firstNode);
    return { height: below, firstNode, count };
  }

  private nodesOf({ height, firstNode, count }: NodeGroup): Uint8Array {
    const { digests } = this.levels[height / groupHeight] as Level;
    return digests.subarray(firstNode * digestSizeBytes, (firstNode + count) * digestSizeBytes);
  }

  private get leafLevel(): Level {
    return this.levels[0] as Level;
  }
}

/** The message that asks a sender for a group. */
export function requestOf({ height, firstNode, count }: NodeGroup): NodesRequest {
  return { kind: 'nodes-request', tree: 'content', height, firstNode, count };
}
