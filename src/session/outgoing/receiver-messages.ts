/** Handles the messages that a session sender gets from its receivers: accept, refuse, report, nodes request, done. */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SessionGeometry } from '../../object/geometry.js';
import { manifestLimits } from '../../object/manifest.js';
import { retryTiming } from '../../transfer/config.js';
import type { Delivery } from '../../transfer/delivery.js';
import type { FaultKind } from '../../wire/faults.js';
import type { ChannelPacket } from '../../wire/header.js';
import type { Extras, Kept } from '../../wire/lists.js';
import { maxRangesPerPart } from '../../wire/lists.js';
import type { Accept, Done, Message, Refuse } from '../../wire/messages.js';
import { decodeMessage } from '../../wire/messages.js';
import type { AddressChange } from '../../wire/paths.js';
import type { Report } from '../../wire/report.js';
import type { NodesRequest } from '../../wire/tree-nodes.js';
import { maxNodesPerMessage } from '../../wire/tree-nodes.js';
import type { SessionSenderEvent } from '../sender-events.js';
import type { Connections } from './connections.js';
import type { ContentRoot } from './content-root.js';
import type { ControlOutbox } from './control-outbox.js';
import type { GroupProbe } from './group-probe.js';
import type { SessionMember } from './member.js';
import type { PathKeeper } from './path-keeper.js';
import type { ReceiverOutcomes } from './receiver-outcomes.js';
import type { ReceiversBehind } from './receivers-behind.js';

export interface ReceiverMessagesOptions {
  readonly geometry: SessionGeometry;
  readonly members: readonly SessionMember[];
  readonly outbox: ControlOutbox;
  readonly delivery: Delivery;
  readonly contentRoot: ContentRoot;
  readonly outcomes: ReceiverOutcomes;
  readonly behind: ReceiversBehind;
  readonly connections: Connections;
  readonly paths: PathKeeper;
  /** Undefined without a multicast group. */
  readonly probe: GroupProbe | undefined;
  readonly events: Queue<SessionSenderEvent>;
  /** Whether a receiver must not delete this entry. Undefined with the deletion `none`. */
  readonly isSpared: ((name: string, isFolder: boolean) => boolean) | undefined;
}

/** The most ranges that a receiver can keep: every second file of a manifest with the most entries. */
const maxKeptRanges = manifestLimits.entryCount / 2 + maxRangesPerPart;

export class ReceiverMessages {
  private reports = 0;

  constructor(private readonly options: ReceiverMessagesOptions) {}

  /** Number of reports received so far. */
  get reportCount(): number {
    return this.reports;
  }

  /**
   * Handles a packet of a receiver: of its handshake, or on its channel.
   * @returns the fault to count, if there is one
   */
  handlePacket(
    nowMs: TimeMs,
    member: SessionMember,
    packet: ChannelPacket,
    from: Address,
  ): FaultKind | undefined {
    if (packet.kind !== 'control')
      return this.options.connections.handleHandshake(nowMs, member, packet, from);
    const opened = member.channel?.open(packet);
    if (opened === undefined || typeof opened === 'string') return opened ?? 'no-session';
    const message = decodeMessage(opened);
    if (message === undefined) return 'bad-message';
    if (member.isSettled) {
      // The receiver repeats its result because the confirmation was lost.
      if (message.kind === 'done') this.options.outcomes.sendBye(member);
      return undefined;
    }
    const { header, body } = packet;
    if (member.channel?.isOpenedNewest === true)
      this.options.paths.handleSource(nowMs, member, from, header.length + body.length);
    if (message.kind === 'path-response') {
      // It answers no poll, which must be repeated nevertheless.
      if (!this.options.paths.handleResponse(nowMs, member, message)) return 'bad-message';
      if (member.isSilent) this.handleReturn(nowMs, member);
      return undefined;
    }
    member.liveness.handleMessage(nowMs);
    member.path.addresses.noteAnswer(from);
    member.polls.handleAnswer();
    // The receiver answers on its old channel although a new handshake has begun. It was unreachable but did
    // not restart.
    if (member.isSilent) this.handleReturn(nowMs, member);
    else if (member.isPaused) this.options.delivery.resume(member.demand);
    return this.handleMessage(nowMs, member, packet, from, message) ? undefined : 'bad-message';
  }

  private handleReturn(nowMs: TimeMs, member: SessionMember): void {
    member.comeBack();
    this.options.paths.handleReturn(member);
    this.options.delivery.resume(member.demand);
    this.options.connections.sendRequest(nowMs, member);
  }

  /** @returns false if messages of this kind are not for senders */
  private handleMessage(
    nowMs: TimeMs,
    member: SessionMember,
    packet: ChannelPacket,
    from: Address,
    message: Message,
  ): boolean {
    switch (message.kind) {
      case 'accept':
        this.handleAccept(nowMs, member, packet, from, message);
        return true;
      case 'refuse':
        this.handleRefuse(nowMs, member, message);
        return true;
      case 'report':
        // The report describes blocks that do not exist, so the receiver does not have the same geometry.
        if (message.report.describedBlocks > this.options.geometry.blockCount) return false;
        return this.handleReport(nowMs, member, packet, message.report);
      case 'nodes-request':
        return this.handleNodesRequest(nowMs, member, message);
      case 'done':
        this.handleDone(nowMs, member, message);
        return true;
      case 'kept':
        return this.handleKept(nowMs, member, message);
      case 'extras':
        return this.handleExtras(nowMs, member, message);
      case 'ask':
        // The asker repeats what the offer answers. The offer is repeated as well.
        return member.isAsker;
      case 'addresses':
        this.handleAddresses(nowMs, member, message);
        return true;
      case 'behind':
        if (member.status !== 'active') return true;
        return this.options.behind.handle(nowMs, member, message);
      default:
        return false;
    }
  }

  private handleAccept(
    nowMs: TimeMs,
    member: SessionMember,
    { header, body }: ChannelPacket,
    from: Address,
    { name: selfName, challenge, addresses = [] }: Accept,
  ): void {
    // It may come late, on the old channel, while a new handshake goes to where the receiver was.
    if (member.status !== 'offered' && member.status !== 'connecting') return;
    const { members, connections, delivery, probe, events } = this.options;
    member.accept(nowMs, selfName, challenge);
    this.replaceEarlier(nowMs, member);
    connections.noteProgress(nowMs, member);
    const { index, name: receiver } = member;
    events.push({
      ...{ type: 'connect', index, receiver, selfName },
      ...withoutUndefined({ challenge }),
    });
    // The receiver might have restarted, so everything that it reported before is discarded.
    delivery.start(member.demand);
    // With only one receiver, multicast saves nothing.
    if (members.filter(({ isSettled }) => !isSettled).length > 1) probe?.restart(nowMs);
    this.options.paths.handleAccept(nowMs, member, addresses);
    this.options.paths.handleSource(nowMs, member, from, header.length + body.length);
    connections.sendRequest(nowMs, member);
  }

  /** The receiver repeats this until it is noted. What was delayed on the way says nothing new. */
  private handleAddresses(
    nowMs: TimeMs,
    member: SessionMember,
    { number, addresses }: AddressChange,
  ): void {
    if (member.status !== 'active') return;
    const change = member.takeAddressChange(nowMs, number);
    if (change === 'too-soon') return;
    if (change === 'new') this.options.paths.handleAddresses(nowMs, member, addresses);
    this.options.outbox.sendMessage(member, { kind: 'addresses-noted', number });
  }

  /** An asker that has asked again, and accepts, takes part only once. */
  private replaceEarlier(nowMs: TimeMs, member: SessionMember): void {
    const { members, outcomes } = this.options;
    for (const other of members) {
      if (other.index < member.index && other.isSameAsker(member))
        outcomes.settle(nowMs, other, 'aborted', 'has asked again');
    }
  }

  private handleRefuse(nowMs: TimeMs, member: SessionMember, refuse: Refuse): void {
    // An asker that restarts asks again.
    if (refuse.isTemporary && !member.isAsker) {
      this.defer(nowMs, member, refuse.reason);
      return;
    }
    const { outcomes } = this.options;
    outcomes.sendBye(member);
    outcomes.settle(nowMs, member, 'refused', this.refusalReason(refuse));
  }

  private refusalReason({ reason, sameAs }: Refuse): string {
    const same = sameAs === undefined ? undefined : this.options.members[sameAs];
    return same === undefined ? reason : `is the same receiver as ${same.name}; name it once`;
  }

  private defer(nowMs: TimeMs, member: SessionMember, reason: string): void {
    if (member.status !== 'offered') return;
    if (member.deferral === undefined) {
      this.options.events.push({ type: 'deferred', receiver: member.name, reason });
    }
    this.options.connections.defer(nowMs, member, reason);
  }

  /** @returns false if the receiver has no such path */
  private handleReport(
    nowMs: TimeMs,
    member: SessionMember,
    { counter, header, body }: ChannelPacket,
    report: Report,
  ): boolean {
    // Ignores a report that arrives before the receiver's `accept` message or after a newer report on its path.
    if (member.status !== 'active') return true;
    const { connections, delivery, contentRoot, paths } = this.options;
    const path = paths.find(member, report.path);
    if (path === undefined) return false;
    const age = member.takeReportNumber(counter, report.path);
    if (age === 'old') return true;
    const { demand } = member;
    this.reports++;
    paths.handleReport(nowMs, member, report);
    const hasNewGap = path.handleReturn(nowMs, report.stampMs, header.length + body.length);
    if (age === 'late') {
      delivery.handleLateReport(nowMs, demand, report);
      return true;
    }
    const hasCome = report.missingBytes < (demand.missingBytes ?? Infinity);
    if (hasCome || report.state === 'preparing' || report.state === 'storing') {
      connections.noteProgress(nowMs, member);
    }
    const wasWaiting = contentRoot.isAwaitedBy(member);
    delivery.handleReport(nowMs, demand, report);
    if (hasNewGap && path === member.path) connections.poll(nowMs, member);
    // Multicast data fills the path of a slow receiver until that receiver has left the group.
    if (report.isMulticastReachable && delivery.isSlowReceiver(demand))
      this.askToLeave(nowMs, member);
    if (!wasWaiting && contentRoot.isAwaitedBy(member)) connections.sendRequest(nowMs, member);
    return true;
  }

  private askToLeave(nowMs: TimeMs, member: SessionMember): void {
    if (nowMs - member.polls.atMs >= retryTiming.firstMs)
      this.options.connections.poll(nowMs, member);
  }

  /** @returns false if there are no such nodes, or too many for a message */
  private handleNodesRequest(nowMs: TimeMs, member: SessionMember, request: NodesRequest): boolean {
    const { connections, outbox, delivery } = this.options;
    const { tree, height, firstNode, count } = request;
    const isSound =
      count >= 1 &&
      count <= maxNodesPerMessage &&
      height <= delivery.tree.height &&
      firstNode + count <= delivery.tree.nodeCount(height);
    if (!isSound) return false;
    const { view } = member.demand;
    const isKnown = tree === 'content' ? delivery.isRead : view?.completeAt !== undefined;
    if (!isKnown) return true;
    connections.noteProgress(nowMs, member);
    const source = tree === 'content' ? delivery.tree : view;
    const digests = source?.nodes(height, firstNode, count);
    if (digests !== undefined)
      outbox.sendMessage(member, { kind: 'nodes', tree, height, firstNode, digests });
    return true;
  }

  /** @returns false if blocks are out of range */
  private handleKept(nowMs: TimeMs, member: SessionMember, { part, ranges }: Kept): boolean {
    const { geometry, connections, outbox } = this.options;
    const contentBlocks = geometry.blockCount - geometry.manifestBlockCount;
    const hasRoom = member.demand.keptRangeCount + ranges.length <= maxKeptRanges;
    if ((ranges.at(-1)?.end ?? 0) > contentBlocks || !hasRoom) return false;
    // The `accept` message has not arrived yet. When it arrives, it would discard the list.
    if (member.status !== 'active') return true;
    connections.noteProgress(nowMs, member);
    member.demand.keep(ranges);
    outbox.sendMessage(member, { kind: 'noted', part, spared: [] });
    return true;
  }

  /** @returns false if the sender did not ask for such a list */
  private handleExtras(nowMs: TimeMs, member: SessionMember, extras: Extras): boolean {
    const { connections, outbox, isSpared } = this.options;
    // The sender did not ask what the receiver would delete.
    if (isSpared === undefined) return false;
    // The `accept` message has not arrived yet. When it arrives, it would discard the list.
    if (member.status !== 'active') return true;
    connections.noteProgress(nowMs, member);
    const spared = member.deletion.take(extras, isSpared);
    outbox.sendMessage(member, { kind: 'noted', part: extras.part, spared });
    return true;
  }

  private handleDone(nowMs: TimeMs, member: SessionMember, done: Done): void {
    const { outcomes } = this.options;
    outcomes.sendBye(member);
    member.takeDone(done);
    const reason = done.reason === '' ? undefined : done.reason;
    outcomes.settle(nowMs, member, done.isComplete ? 'complete' : 'failed', reason);
  }
}
