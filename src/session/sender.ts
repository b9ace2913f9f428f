/**
 * The sender of a session, which sends one object to N receivers. It connects to each receiver, authenticates
 * the receiver's key, and tracks the receiver until it has an outcome (SESSIONS 3 to 6).
 * `transfer/delivery.ts` sends the data.
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { stoppedTimeMs } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import { Queue } from '../base/queue.js';
import type { Refusal } from '../base/refusal.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { SessionGeometry } from '../object/geometry.js';
import type { WithdrawnEntry } from '../object/withdrawn-content.js';
import { BlockSeal } from '../security/block-seal.js';
import type { ProvenChannel } from '../security/secure-channel.js';
import { retryTiming } from '../transfer/config.js';
import { Delivery } from '../transfer/delivery.js';
import type { ReceiverSpec } from '../transfer/receiver-spec.js';
import { toHex } from '../wire/byte-codec.js';
import { FaultLog } from '../wire/faults.js';
import { askerNumber, decodeSession, describeSession } from '../wire/header.js';
import type { Offer } from '../wire/offer.js';
import type { BehindNoted } from '../wire/relayed.js';
import { keySizeBytes } from '../wire/sizes.js';
import { SessionActions } from './outgoing/actions.js';
import { Connections } from './outgoing/connections.js';
import { ContentRoot } from './outgoing/content-root.js';
import { ControlOutbox } from './outgoing/control-outbox.js';
import { GroupProbe } from './outgoing/group-probe.js';
import { SessionMember } from './outgoing/member.js';
import { PathKeeper } from './outgoing/path-keeper.js';
import { ReceiverMessages } from './outgoing/receiver-messages.js';
import { ReceiverOutcomes } from './outgoing/receiver-outcomes.js';
import { statusOf } from './outgoing/receiver-status.js';
import { ReceiversBehind } from './outgoing/receivers-behind.js';
import { StartBarrier } from './outgoing/start-barrier.js';
import { Withdrawals } from './outgoing/withdrawals.js';
import type {
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from './sender-events.js';
import type { SessionSenderOptions } from './sender-options.js';
import { agreeTerms, checkJoin, createOffer, sparingOf } from './sender-options.js';

type Phase = 'open' | 'checking' | 'done';

/**
 * A `Machine` that sends one object in one session: connects to the receivers, sends the data, and retransmits
 * what the receivers miss (SESSIONS 3 to 6).
 * @example
 * ```ts
 * import {
 *   createManifest,
 *   createNodeCrypto,
 *   encodeManifest,
 *   generateKeyPair,
 *   SessionSender,
 * } from 'p2mp';
 *
 * const entry = { kind: 'file', name: 'a.txt', mode: 0o644, modifiedMs: 0, sizeBytes: 3 } as const;
 * const sender = new SessionSender({
 *   receivers: [{ name: 'a', address: { host: '192.0.2.1', port: 7735 } }],
 *   label: 'a.txt',
 *   manifest: encodeManifest(createManifest([entry])),
 *   contentSizeBytes: 3,
 *   crypto: await createNodeCrypto(await generateKeyPair()),
 * });
 * // The first datagram asks the receiver whether it is there.
 * console.log(sender.pollTransmit(0)?.to.host); // 192.0.2.1
 * ```
 */
export class SessionSender implements Machine<SessionSenderEvent> {
  readonly session: number;
  readonly geometry: SessionGeometry;

  private readonly members: SessionMember[] = [];
  /** The receivers that began their channels themselves, by the numbers of these channels. */
  private readonly askers = new Map<number, SessionMember>();
  private readonly events = new Queue<SessionSenderEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly outbox = new ControlOutbox();
  private readonly delivery: Delivery;
  private readonly offer: Offer;
  /** Undefined without a multicast group. */
  private readonly probe: GroupProbe | undefined;
  private readonly contentRoot: ContentRoot;
  private readonly withdrawals: Withdrawals;
  private readonly behind: ReceiversBehind;
  private readonly outcomes: ReceiverOutcomes;
  private readonly connections: Connections;
  private readonly paths: PathKeeper;
  private readonly messages: ReceiverMessages;
  private readonly startBarrier: StartBarrier;
  private readonly actions: SessionActions;

  private phase: Phase = 'open';
  private startedAtMs: TimeMs | undefined;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(options: SessionSenderOptions) {
    const { receivers = [], crypto, group } = options;
    const terms = agreeTerms(options);
    const { geometry, reportInterval } = terms;
    const session = readUint32(crypto.random(4), 0);
    const groupKey = crypto.random(keySizeBytes);
    const seal = new BlockSeal(crypto, groupKey);
    this.geometry = geometry;
    this.session = session;
    this.probe = group === undefined ? undefined : new GroupProbe(group, session, seal);
    this.offer = createOffer(options, terms, session, groupKey);
    const { manifest, rateBytesPerSec, rateLimit, createController, digestTree } = options;
    const { senderCount = () => 1 } = options;
    const { servesTogether = digestTree === undefined } = options;
    this.delivery = new Delivery({
      ...{ session, geometry, reportInterval, manifest, seal, group, rateBytesPerSec },
      ...{ hash: crypto.hash, digestTree, createController, rateLimit, senderCount },
      servesTogether,
      // Keeps concurrent sessions from probing their paths at the same moments.
      randomPhase: session / 2 ** 32,
    });
    this.contentRoot = new ContentRoot(this.delivery, options.relayed !== undefined);
    this.withdrawals = new Withdrawals(geometry);
    const { members, outbox, delivery, contentRoot, withdrawals, probe, offer, events } = this;
    this.startBarrier = new StartBarrier(
      members,
      reportInterval,
      servesTogether || group !== undefined,
    );
    this.behind = new ReceiversBehind({ crypto, offer, contentRoot, outbox, events });
    const { behind } = this;
    const shared = { members, outbox, delivery, contentRoot, events, reportInterval, behind };
    const { contentSizeBytes } = geometry;
    const isObjectFinal = options.isUnrepeatable ?? false;
    this.outcomes = new ReceiverOutcomes({ ...shared, contentSizeBytes, isObjectFinal });
    const firstPathsTo = (member: SessionMember) => this.paths.firstPathsTo(member);
    const opening = { ...terms, withdrawals, session, offer, crypto, firstPathsTo };
    this.connections = new Connections({ ...shared, ...opening });
    const { localHosts } = options;
    this.paths = new PathKeeper({ delivery, outbox, crypto, localHosts });
    const { outcomes, connections, paths } = this;
    const isSpared = sparingOf(options);
    this.messages = new ReceiverMessages({
      ...shared,
      ...{ geometry, outcomes, connections, probe, isSpared, paths },
    });
    const { invitations = [] } = options;
    this.actions = new SessionActions({ ...shared, outcomes, connections, paths, invitations });
    for (const receiver of receivers) this.add(receiver);
  }

  /** What the sender knows of each receiver, by the receiver's number. */
  get peers(): readonly SessionMember[] {
    return this.members;
  }

  get isDone(): boolean {
    return this.phase === 'done';
  }

  /**
   * Adds a receiver to the session, which may be running. A receiver that joins late catches up in a further pass
   * over the content (SESSIONS 3.16).
   * @param asked the channel of a receiver that asked for the object; it gets the offer at once (SESSIONS 9.4)
   * @returns the receiver's number, which no other receiver of the session gets
   * @throws P2mpError INVALID_ARGUMENT if the session has ended, or has had 65,535 receivers
   */
  join(nowMs: TimeMs, receiver: ReceiverSpec, asked?: ProvenChannel): number {
    checkJoin(this.isDone, this.members.length);
    const member = this.add(receiver);
    if (asked !== undefined) this.askers.set(member.open(nowMs, asked), member);
    if (this.startedAtMs !== undefined) {
      this.connections.join(nowMs, member);
      this.advance(nowMs);
    }
    return member.index;
  }

  private add(receiver: ReceiverSpec): SessionMember {
    const member = new SessionMember(this.members.length, receiver, this.geometry.mssBytes);
    this.members.push(member);
    this.delivery.add(member.demand);
    this.outcomes.handleJoin();
    return member;
  }

  /** Ends the session for one receiver with the outcome `aborted`, and sends it the reason. */
  leave(nowMs: TimeMs, index: number, reason: string): void {
    this.outcomes.dismiss(nowMs, at(this.members, index), 'aborted', reason);
    this.advance(nowMs);
  }

  /** Answers a `need` event with exactly the requested bytes. The bytes are copied. */
  provideBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    if (this.phase === 'done') return;
    this.delivery.provideBlock(block, bytes);
    this.advance(nowMs);
  }

  /**
   * Withdraws entries that the source can no longer read: no receiver stores them, and the others arrive (SESSIONS
   * 6.12). From then on, the source may give anything in their place.
   * @returns false if the session has to end instead
   */
  withdraw(nowMs: TimeMs, entries: readonly WithdrawnEntry[]): boolean {
    const { contentRoot, offer, behind, withdrawals, members } = this;
    const isFixed = contentRoot.isSaid || offer.contentRoot !== undefined || !behind.isEmpty;
    if (this.phase === 'done' || isFixed || !withdrawals.add(entries)) return false;
    this.delivery.withdraw(withdrawals.content.emptyBlocks);
    for (const member of members)
      if (member.status === 'active') this.outbox.sendMessages(member, withdrawals.messages);
    this.advance(nowMs);
    return true;
  }

  /** Answers an `identify` event: trusts the receiver, or fails it with `refusal` as the reason. */
  trust(nowMs: TimeMs, index: number, refusal?: string): void {
    const member = at(this.members, index);
    if (member.status !== 'identifying' || member.handshake === undefined) return;
    if (refusal === undefined) {
      member.trust(nowMs);
      this.actions.prove(nowMs, member);
    } else {
      this.outcomes.settle(nowMs, member, 'failed', refusal);
    }
    this.advance(nowMs);
  }

  /** Answers an `identify-behind` event: trusts the receiver, or fails it with `refusal` as the reason. */
  trustBehind(nowMs: TimeMs, number: number, refusal?: string): void {
    this.behind.trust(nowMs, number, refusal);
    this.advance(nowMs);
  }

  /** If this sender is a relay: answers a `behind` event. */
  noteBehind(index: number, noted: BehindNoted): void {
    this.behind.note(at(this.members, index), noted);
  }

  /** If this sender is a relay: gives a receiver what the origin of the object says to it. */
  giveEnvelope(nowMs: TimeMs, index: number, envelope: Uint8Array): void {
    const member = at(this.members, index);
    if (member.isSettled) return;
    member.takeEnvelope(envelope);
    if (member.status === 'active') this.connections.sendRequest(nowMs, member);
    this.advance(nowMs);
  }

  /** The shell calls this after a `check-source` event, unless the source changed while it was read. */
  confirmSource(nowMs: TimeMs): void {
    if (this.phase !== 'checking') return;
    this.phase = 'open';
    this.contentRoot.handleConfirmed();
    // Receivers answer the digest immediately. It is sent to one receiver after another, to spread answers.
    const due = this.members.filter((peer) => this.contentRoot.isConfirmedFor(peer));
    this.connections.scheduleEachFrom(due, nowMs);
    this.connections.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  /** Whether the sender has begun to send content. From then on, the segment size is fixed. */
  get hasOpenedContent(): boolean {
    return this.startBarrier.hasBegun;
  }

  /** Fails this receiver; the session continues with the others. */
  failReceiver(nowMs: TimeMs, index: number, reason: string): void {
    this.outcomes.dismiss(nowMs, at(this.members, index), 'failed', reason);
    this.advance(nowMs);
  }

  /** Paths begin at these addresses from now on; if there are none, nothing changes. */
  setLocalHosts(nowMs: TimeMs, hosts: readonly string[]): void {
    if (hosts.length > 0) this.paths.setLocalHosts(nowMs, hosts, this.members);
    this.advance(nowMs);
  }

  /** Handles an ICMP error: datagrams do not reach a receiver's port. */
  handleRefusal(index: number, from: Address, refusal: Refusal): void {
    const peer = at(this.members, index);
    const event = peer.isSettled ? undefined : this.connections.noteRefusal(peer, from, refusal);
    if (event !== undefined) this.events.push(event);
  }

  /**
   * Retires this session, because another one replaces it. A retired session only confirms outcomes. If it
   * notified the receivers, a receiver that accepts only one session would refuse the new session.
   */
  retire(): void {
    this.outcomes.leaveToNextSession();
    this.phase = 'done';
    this.delivery.end();
    this.outbox.clear();
  }

  /**
   * Stops the session: notifies every unfinished receiver, then emits `done`.
   * @param isFinal whether the object will never be sent again; receivers then need not keep what they have
   * received
   */
  abort(nowMs: TimeMs, reason: string, isFinal = false): void {
    if (isFinal) this.outcomes.makeObjectFinal();
    for (const peer of this.members) this.outcomes.dismiss(nowMs, peer, 'aborted', reason);
    this.advance(nowMs);
  }

  /** Handles a datagram from any address. A datagram that no receiver sent is counted as a fault. */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string') {
      this.faults.add(packet, from, bytes);
      return;
    }
    const isChannel =
      packet.kind === 'cookie' || packet.kind === 'reply' || packet.kind === 'control';
    const isAskers = isChannel && packet.receiver === askerNumber;
    if (packet.session !== this.session && !isAskers) {
      this.faults.add('no-session', from, bytes);
    } else if (!isChannel) {
      this.faults.add('wrong-direction', from, bytes);
    } else {
      const member = isAskers ? this.askers.get(packet.session) : this.members[packet.receiver];
      const fault =
        member === undefined ? 'stranger' : this.messages.handlePacket(nowMs, member, packet, from);
      if (fault !== undefined) this.faults.add(fault, from, bytes);
      this.advance(nowMs);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    if (stoppedMs > 0) this.connections.handleStop(stoppedMs);
    if (nowMs >= this.connections.dueAtMs) this.connections.handleTimeout(nowMs);
    if (this.probe !== undefined && nowMs >= this.probe.dueAtMs) this.sendProbe(nowMs, this.probe);
    this.delivery.handleTimeout(nowMs);
    if (nowMs >= this.paths.dueAtMs) this.paths.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (this.phase !== 'done' && this.startedAtMs === undefined) {
      this.startedAtMs = nowMs;
      this.connections.start(nowMs);
      this.actions.execute(nowMs);
    }
    const control = this.outbox.shift();
    if (control !== undefined) return control;
    if (this.phase === 'done') return undefined;
    const transmit = this.delivery.pollTransmit(nowMs);
    // What has been sent makes room to read further blocks.
    this.actions.execute(nowMs);
    return transmit;
  }

  pollTimeout(): TimeMs | undefined {
    if (this.phase === 'done' || this.startedAtMs === undefined) return undefined;
    return Math.min(
      this.connections.dueAtMs,
      this.paths.dueAtMs,
      this.probe?.dueAtMs ?? Infinity,
      this.delivery.pollTimeout() ?? Infinity,
    );
  }

  pollEvent(): SessionSenderEvent | undefined {
    return this.events.shift();
  }

  /**
   * Sends a probe. Receivers report its arrival, but the reports can be lost. After the last probe, the
   * sender therefore polls the receivers that have not reported any probe.
   */
  private sendProbe(nowMs: TimeMs, probe: GroupProbe): void {
    const { transmit, isLast } = probe.take(nowMs);
    this.outbox.push(transmit);
    this.delivery.awaitProbeAnswers(nowMs + retryTiming.probeWaitMs);
    if (!isLast || this.startBarrier.isOpen) return;
    const asked = this.members.filter(
      ({ status, path, polls }) =>
        status === 'active' && !path.isMulticastReachable && !polls.isDue,
    );
    for (const { polls } of asked) polls.setDue(true);
    this.connections.scheduleEachFrom(asked, nowMs + retryTiming.probeWaitMs / 2);
  }

  // --- Progress of the session

  private advance(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    this.actions.execute(nowMs);
    if (this.outcomes.areSettled) {
      this.phase = 'done';
      this.delivery.end();
      this.events.push({ type: 'done', result: this.result(nowMs) });
      return;
    }
    if (!this.startBarrier.isOpen) this.tryOpenContent(nowMs);
    if (this.phase === 'open' && this.startBarrier.isOpen && this.contentRoot.isCheckDue) {
      this.phase = 'checking';
      this.contentRoot.handleCheck();
      this.events.push({ type: 'check-source' });
    }
  }

  private tryOpenContent(nowMs: TimeMs): void {
    const againAtMs = this.startBarrier.tryOpen(nowMs, this.probe?.answersUntilMs ?? -Infinity);
    this.delivery.setContentOpen(this.startBarrier.isServing);
    this.actions.execute(nowMs);
    if (againAtMs !== undefined) this.connections.lookBy(againAtMs);
  }

  /** The current status of one receiver. */
  status(nowMs: TimeMs, peer: SessionMember): SessionReceiverStatus {
    const { contentSizeBytes } = this.geometry;
    return statusOf(nowMs, peer, contentSizeBytes, this.contentRoot.isConfirmedFor(peer));
  }

  /** The current status of each receiver; those behind a relay come after it. */
  statuses(nowMs: TimeMs): SessionReceiverStatus[] {
    return this.members.flatMap((member) => [
      this.status(nowMs, member),
      ...this.behind.statusesOf(nowMs, member),
    ]);
  }

  get reportCount(): number {
    return this.messages.reportCount;
  }

  /** Outcomes and counts so far. */
  result(nowMs: TimeMs): SessionSenderResult {
    const { delivery, outcomes } = this;
    const root = this.withdrawals.content.count > 0 ? undefined : this.contentRoot.value;
    const endedAtMs = outcomes.settledAtMs;
    return {
      contentSizeBytes: this.geometry.contentSizeBytes,
      elapsedMs: Math.max(0, endedAtMs - (this.startedAtMs ?? endedAtMs)),
      manifestDigest: toHex(this.offer.manifestDigest),
      ...withoutUndefined({ contentRoot: root && toHex(root) }),
      ...delivery.figures,
      reportsReceived: this.messages.reportCount,
      receivers: outcomes.list(nowMs),
      faults: this.faults.toCounts(),
    };
  }
}
