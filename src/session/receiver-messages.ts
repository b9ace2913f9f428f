/** Handles the messages that a session sender gets from its receivers: accept, refuse, report, nodes request, done. */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { SessionGeometry } from '../object/geometry.js';
import { manifestLimits } from '../object/manifest.js';
import { ReturnPath } from '../path/return-path.js';
import { retryTiming } from '../transfer/config.js';
import type { Delivery } from '../transfer/delivery.js';
import type { SessionPeer } from '../transfer/peer.js';
import type { Extras, Kept } from '../wire/lists.js';
import { maxRangesPerPart } from '../wire/lists.js';
import type { Done, Message, NodesRequest, Refuse } from '../wire/messages.js';
import { maxNodesPerMessage } from '../wire/messages.js';
import type { Report } from '../wire/report.js';
import type { Connections } from './connections.js';
import type { ControlOutbox } from './control-outbox.js';
import type { GroupProbe } from './group-probe.js';
import type { ReceiverOutcomes } from './receiver-outcomes.js';
import type { RootDigest } from './root-digest.js';
import type { SessionSenderEvent } from './sender-events.js';

export interface ReceiverMessagesOptions {
  readonly geometry: SessionGeometry;
  readonly peers: readonly SessionPeer[];
  readonly outbox: ControlOutbox;
  readonly delivery: Delivery;
  readonly rootDigest: RootDigest;
  readonly outcomes: ReceiverOutcomes;
  readonly connections: Connections;
  /** Undefined without a multicast group. */
  readonly probe: GroupProbe | undefined;
  readonly emit: (event: SessionSenderEvent) => void;
  /** Whether a receiver must not delete this entry. Undefined with the deletion `none`. */
  readonly isSpared: ((name: string, isFolder: boolean) => boolean) | undefined;
}

/** The most ranges that a receiver can keep: every second file of a manifest with the most entries. */
const maxKeptRanges = manifestLimits.entryCount / 2 + maxRangesPerPart;

export class ReceiverMessages {
  /** Reports received so far. */
  reportCount = 0;

  constructor(private readonly options: ReceiverMessagesOptions) {}

  /**
   * Handles an authentic message from a receiver that has no outcome yet.
   * @param counter the number of the message on its channel
   * @returns false if messages of this kind are not for senders
   */
  handle(
    nowMs: TimeMs,
    peer: SessionPeer,
    from: Address,
    counter: number,
    message: Message,
  ): boolean {
    peer.hasAnswered = true;
    peer.answerCount++;
    peer.lastReceivedAtMs = nowMs;
    peer.addresses.noteAnswer(from);
    peer.unansweredPolls = 0;
    // The receiver answers on its old channel although a new handshake has begun. It was unreachable but did
    // not restart.
    if (peer.status === 'connecting' && peer.startedAtMs !== undefined)
      this.handleReturn(nowMs, peer);
    return this.handleMessage(nowMs, peer, counter, message);
  }

  private handleReturn(nowMs: TimeMs, peer: SessionPeer): void {
    peer.status = 'active';
    peer.handshake = undefined;
    peer.isResponsive = true;
    this.options.delivery.handleChange(peer);
    this.options.connections.sendRequest(nowMs, peer);
  }

  private handleMessage(
    nowMs: TimeMs,
    peer: SessionPeer,
    counter: number,
    message: Message,
  ): boolean {
    switch (message.kind) {
      case 'accept':
        this.handleAccept(nowMs, peer, message.name);
        return true;
      case 'refuse':
        this.handleRefuse(nowMs, peer, message);
        return true;
      case 'report':
        // The report describes blocks that do not exist, so the receiver does not have the same geometry.
        if (message.report.describedBlocks > this.options.geometry.blockCount) return false;
        this.handleReport(nowMs, peer, counter, message.report);
        return true;
      case 'nodes-request':
        this.handleNodesRequest(nowMs, peer, message);
        return true;
      case 'done':
        this.handleDone(nowMs, peer, message);
        return true;
      case 'kept':
        return this.handleKept(nowMs, peer, message);
      case 'extras':
        return this.handleExtras(nowMs, peer, message);
      default:
        return false;
    }
  }

  private handleAccept(nowMs: TimeMs, peer: SessionPeer, selfName: string): void {
    if (peer.status !== 'offered') return;
    const { connections, delivery, probe, emit } = this.options;
    peer.status = 'active';
    peer.deferral = undefined;
    peer.handshake = undefined;
    peer.selfName = selfName;
    peer.isResponsive = true;
    peer.startedAtMs ??= nowMs;
    connections.noteProgress(nowMs, peer);
    peer.handshakes = 0;
    // The receiver might have restarted, so everything that it reported before is discarded.
    peer.lastReport = -1;
    peer.needed.clear();
    peer.deletion.clear();
    peer.state = 'preparing';
    peer.missingBytes = undefined;
    peer.earlierBytes += peer.receivedBytes;
    peer.receivedBytes = 0;
    peer.isGroupLost = false;
    peer.returnPath = new ReturnPath();
    delivery.handleRestart(peer);
    peer.isPollDue = false;
    emit({ type: 'connect', receiver: peer.name, selfName });
    delivery.handleChange(peer);
    probe?.restart(nowMs);
    connections.sendRequest(nowMs, peer);
  }

  private handleRefuse(nowMs: TimeMs, peer: SessionPeer, refuse: Refuse): void {
    if (refuse.isTemporary) {
      this.defer(nowMs, peer, refuse.reason);
      return;
    }
    const { outcomes } = this.options;
    outcomes.sendBye(peer);
    outcomes.settle(nowMs, peer, 'refused', this.refusalReason(refuse));
  }

  private refusalReason({ reason, sameAs }: Refuse): string {
    const same = sameAs === undefined ? undefined : this.options.peers[sameAs];
    return same === undefined ? reason : `is the same receiver as ${same.name}; name it once`;
  }

  private defer(nowMs: TimeMs, peer: SessionPeer, reason: string): void {
    if (peer.status !== 'offered') return;
    if (peer.deferral === undefined) {
      this.options.emit({ type: 'deferred', receiver: peer.name, reason });
    }
    this.options.connections.defer(nowMs, peer, reason);
  }

  private handleReport(nowMs: TimeMs, peer: SessionPeer, counter: number, report: Report): void {
    // Ignores a report that arrives before the receiver's `accept` message or after a newer report.
    if (peer.status !== 'active' || counter <= peer.lastReport) return;
    const { connections, delivery, rootDigest } = this.options;
    peer.lastReport = counter;
    this.reportCount++;
    const hasCome = report.missingBytes < (peer.missingBytes ?? Infinity);
    if (hasCome || report.state === 'preparing' || report.state === 'storing') {
      connections.noteProgress(nowMs, peer);
    }
    const wasWaiting = rootDigest.isAwaitedBy(peer);
    peer.state = report.state;
    peer.missingBytes = report.missingBytes;
    peer.receivedBytes = report.receivedBytes;
    const { blockCount, manifestBlockCount } = this.options.geometry;
    if (report.describedBlocks > manifestBlockCount || blockCount === manifestBlockCount) {
      peer.isReady = true;
      delivery.views.assign(peer);
    }
    const hasNewGap = peer.returnPath.take(nowMs, report.stampMs);
    delivery.handleReport(nowMs, peer, report);
    if (hasNewGap) connections.poll(nowMs, peer);
    // Multicast data fills the path of a slow receiver until that receiver has left the group.
    if (report.isMulticastReachable && delivery.isSlowReceiver(peer)) this.askToLeave(nowMs, peer);
    if (!wasWaiting && rootDigest.isAwaitedBy(peer)) connections.sendRequest(nowMs, peer);
  }

  private askToLeave(nowMs: TimeMs, peer: SessionPeer): void {
    if (nowMs - peer.polledAtMs >= retryTiming.firstMs) this.options.connections.poll(nowMs, peer);
  }

  private handleNodesRequest(nowMs: TimeMs, peer: SessionPeer, request: NodesRequest): void {
    const { connections, outbox } = this.options;
    if (peer.view?.completeAt === undefined) return;
    connections.noteProgress(nowMs, peer);
    const { height, firstNode } = request;
    const count = Math.min(request.count, maxNodesPerMessage);
    const digests = peer.view.nodes(height, firstNode, count);
    if (digests.length > 0) outbox.sendMessage(peer, { kind: 'nodes', height, firstNode, digests });
  }

  /** @returns false if blocks are out of range */
  private handleKept(nowMs: TimeMs, peer: SessionPeer, { part, ranges }: Kept): boolean {
    const { geometry, connections, outbox } = this.options;
    const contentBlocks = geometry.blockCount - geometry.manifestBlockCount;
    const hasRoom = peer.kept.rangeCount + ranges.length <= maxKeptRanges;
    if ((ranges.at(-1)?.end ?? 0) > contentBlocks || !hasRoom) return false;
    // The `accept` message has not arrived yet. When it arrives, it would discard the list.
    if (peer.status !== 'active') return true;
    connections.noteProgress(nowMs, peer);
    // Once the receiver has reported its gaps, the list of blocks that it keeps is final.
    if (peer.view === undefined) for (const { start, end } of ranges) peer.kept.add(start, end);
    outbox.sendMessage(peer, { kind: 'noted', part, spared: [] });
    return true;
  }

  /** @returns false if the sender did not ask for such a list */
  private handleExtras(nowMs: TimeMs, peer: SessionPeer, extras: Extras): boolean {
    const { connections, outbox, isSpared } = this.options;
    // The sender did not ask what the receiver would delete.
    if (isSpared === undefined) return false;
    // The `accept` message has not arrived yet. When it arrives, it would discard the list.
    if (peer.status !== 'active') return true;
    connections.noteProgress(nowMs, peer);
    const spared = peer.deletion.take(extras, isSpared);
    outbox.sendMessage(peer, { kind: 'noted', part: extras.part, spared });
    return true;
  }

  private handleDone(nowMs: TimeMs, peer: SessionPeer, done: Done): void {
    const { outcomes } = this.options;
    const { isComplete } = done;
    outcomes.sendBye(peer);
    peer.missingBytes = isComplete ? 0 : peer.missingBytes;
    peer.receivedBytes = done.receivedBytes;
    peer.segmentsReceived = done.segmentsReceived;
    peer.segmentsLost = done.segmentsLost;
    const { unchangedFiles, deletedEntries, undeletedEntries } = done;
    peer.done = { unchangedFiles, deletedEntries, undeletedEntries };
    peer.undeleted = done.undeleted;
    const reason = done.reason === '' ? undefined : done.reason;
    outcomes.settle(nowMs, peer, isComplete ? 'complete' : 'failed', reason);
  }
}
