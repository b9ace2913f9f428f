/** Asks the sender of one session for leaf digests of the content (SESSIONS 6.11). */
import type { TimeMs } from '../../base/machine.js';
import type { LeafDigests, NodeGroup } from '../../object/leaf-digests.js';
import { requestOf } from '../../object/leaf-digests.js';
import { retryTiming } from '../../transfer/config.js';
import type { Nodes, NodesRequest } from '../../wire/tree-nodes.js';

/** Maximum number of requests in flight. Their answers take 16 KiB. */
const mostRequests = 16;

/** A request without an answer yet. */
interface PendingRequest {
  readonly group: NodeGroup;
  readonly sentAtMs: TimeMs;
}

export class LeafRequests {
  /** The request that was sent longest ago is the first. */
  private pending: PendingRequest[] = [];
  private waitMs: number = retryTiming.firstMs;
  private readonly isPending = (group: NodeGroup) =>
    this.pending.some((request) => request.group === group);

  /** @param isSparing whether to ask for no more than the first leaves, one request at a time; see `hurry` */
  constructor(
    protected readonly leaves: LeafDigests,
    private isSparing = false,
  ) {}

  /** Asks for everything from now on. */
  hurry(): void {
    this.isSparing = false;
  }

  /** Whether a request has no answer yet. */
  get isAwaiting(): boolean {
    return this.pending.length > 0;
  }

  /** The requests to send now. */
  *requests(nowMs: TimeMs): Generator<NodesRequest> {
    while (this.hasRoom) {
      const group = this.leaves.next(nowMs, this.isPending);
      if (group === undefined) return;
      this.pending.push({ group, sentAtMs: nowMs });
      yield requestOf(group);
    }
  }

  /** When there are requests to send or to repeat. */
  get dueAtMs(): TimeMs {
    const nextAtMs = this.hasRoom ? this.leaves.nextAtMs(this.isPending) : Infinity;
    return Math.min(nextAtMs, this.repeatAtMs);
  }

  /** The requests to repeat now. */
  *repetitions(nowMs: TimeMs): Generator<NodesRequest> {
    if (nowMs < this.repeatAtMs) return;
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

  private get hasRoom(): boolean {
    const { pending, leaves } = this;
    if (!this.isSparing) return pending.length < mostRequests;
    return pending.length === 0 && leaves.arrivalCount === 0;
  }

  private get repeatAtMs(): TimeMs {
    const [oldest] = this.pending;
    return oldest === undefined ? Infinity : oldest.sentAtMs + this.waitMs;
  }
}
