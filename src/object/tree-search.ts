/**
 * Finds the blocks in which two sides differ. The search requests nodes of the other side's tree level by
 * level, and descends only below nodes that differ. If very many nodes differ, the search does not descend
 * below some of them; all blocks below such a node count as different.
 */
import { isEqualBytes } from '../wire/byte-codec.js';
import { digestSizeBytes } from '../wire/sizes.js';
import type { Nodes, NodesRequest } from '../wire/tree-nodes.js';
import { maxNodesPerMessage } from '../wire/tree-nodes.js';
import type { DigestTree } from './digest-tree.js';

/** Number of levels that one request descends. At this depth, all nodes of a subtree fit in one message. */
const stepHeight = Math.log2(maxNodesPerMessage);

/**
 * Maximum number of queued requests. While the queue is full, all blocks below a differing node count as
 * different.
 */
const maxRequests = 256;

/** Maximum number of requests in flight. */
const concurrentRequests = 8;

export class TreeSearch {
  /** Blocks that differ, numbered within the content. */
  readonly differing: number[] = [];
  private readonly requests: NodesRequest[] = [];

  constructor(private readonly tree: DigestTree) {
    const height = Math.max(0, tree.height - stepHeight);
    this.ask(height, 0, tree.nodeCount(height));
  }

  get isOver(): boolean {
    return this.requests.length === 0;
  }

  /** The requests to send or repeat now. */
  pending(): readonly NodesRequest[] {
    return this.requests.slice(0, concurrentRequests);
  }

  /** @returns whether these nodes were requested */
  handle({ tree, height, firstNode, digests }: Nodes): boolean {
    if (tree !== 'receiver') return false;
    const place = this.requests.findIndex(
      (request) => request.height === height && request.firstNode === firstNode,
    );
    const request = this.requests[place];
    if (request === undefined || digests.length !== request.count * digestSizeBytes) return false;
    this.requests.splice(place, 1);
    this.look(request, digests);
    return true;
  }

  private look({ height, firstNode, count }: NodesRequest, digests: Uint8Array): void {
    const own = this.tree.nodes(height, firstNode, count);
    for (let i = 0; i < count; i++) {
      if (isEqualBytes(digestOf(own, i), digestOf(digests, i))) continue;
      const node = firstNode + i;
      if (height === 0) this.differing.push(node);
      else this.descend(height, node);
    }
  }

  private descend(height: number, node: number): void {
    const below = Math.max(0, height - stepHeight);
    const width = 2 ** (height - below);
    const first = node * width;
    const count = Math.min(width, this.tree.nodeCount(below) - first);
    if (this.requests.length < maxRequests) {
      this.ask(below, first, count);
      return;
    }
    const firstBlock = node * 2 ** height;
    const endBlock = Math.min(this.tree.blockCount, firstBlock + 2 ** height);
    for (let block = firstBlock; block < endBlock; block++) this.differing.push(block);
  }

  private ask(height: number, firstNode: number, count: number): void {
    this.requests.push({ kind: 'nodes-request', tree: 'receiver', height, firstNode, count });
  }
}

function digestOf(digests: Uint8Array, place: number): Uint8Array {
  return digests.subarray(place * digestSizeBytes, (place + 1) * digestSizeBytes);
}
