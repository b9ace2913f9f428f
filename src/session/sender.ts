/**
 * The sender of a session. It sends one object to N receivers: it connects to each, authenticates it by its
 * key, and follows it to its outcome (SESSIONS 3 to 6). `transfer/delivery.ts` sends the data in between.
 */
import type { Address } from '../base/address.js';
import { assert, at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { stoppedTimeMs } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import { Queue } from '../base/queue.js';
import type { RefusalCode } from '../base/refusal.js';
import type { SessionGeometry } from '../object/geometry.js';
import { otherAddressEvent } from '../path/candidate-addresses.js';
import { ReturnPath } from '../path/return-path.js';
import { BlockSeal } from '../security/block-seal.js';
import type { OutgoingHandshake } from '../security/handshake.js';
import { retryTiming } from '../transfer/config.js';
import { Delivery } from '../transfer/delivery.js';
import { SessionPeer } from '../transfer/peer.js';
import { isEqualBytes, toHex } from '../wire/byte-codec.js';
import { FaultLog } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import { decodeSession, describeSession } from '../wire/header.js';
import type { Message, NodesRequest, Offer, Refuse } from '../wire/messages.js';
import { decodeMessage, encodeMessage, maxNodesPerMessage } from '../wire/messages.js';
import type { Report } from '../wire/report.js';
import { keySizeBytes, maxControlSizeBytes } from '../wire/sizes.js';
import { Connections } from './connections.js';
import { GroupProbe } from './group-probe.js';
import { statusOf } from './receiver-status.js';
import type {
  SessionReceiverOutcome,
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from './sender-events.js';
import type { SessionSenderOptions } from './sender-options.js';
import { agreeTerms, createOffer } from './sender-options.js';
import { StartBarrier } from './start-barrier.js';

type Phase = 'open' | 'checking' | 'confirmed' | 'done';

/**
 * The sender of one session as a machine: invites the receivers, sends the object and repairs what
 * they miss (SESSIONS 3 to 6).
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
  readonly peers: readonly SessionPeer[];
  readonly reportIntervalMs: number;

  private readonly delivery: Delivery;
  private readonly offer: Offer;
  /** Undefined without a multicast group. */
  private readonly probe: GroupProbe | undefined;
  private readonly connections: Connections;
  private readonly startBarrier: StartBarrier;
  private readonly events = new Queue<SessionSenderEvent>();
  private readonly controls = new Queue<Transmit>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);

  private phase: Phase = 'open';
  private startedAtMs: TimeMs | undefined;
  private settledAtMs: TimeMs = 0;
  private unsettledCount: number;
  /** Whether no later session will offer this object. */
  private isObjectFinal: boolean;
  private reportsReceived = 0;
  private rootDigest: Uint8Array | undefined;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(options: SessionSenderOptions) {
    const { receivers, crypto, manifest, group, rateBytesPerSec } = options;
    const terms = agreeTerms(options);
    const { geometry, reportIntervalMs } = terms;
    this.geometry = geometry;
    this.isObjectFinal = options.isUnrepeatable ?? false;
    this.session = readUint32(crypto.random(4), 0);
    this.reportIntervalMs = reportIntervalMs;
    const groupKey = crypto.random(keySizeBytes);
    const seal = new BlockSeal(crypto, groupKey);
    this.probe = group === undefined ? undefined : new GroupProbe(group, this.session, seal);
    this.offer = createOffer(options, terms, groupKey);
    this.peers = receivers.map(
      ({ name, address, otherAddresses }, index) =>
        new SessionPeer(index, name, address, rttLimits, otherAddresses),
    );
    this.unsettledCount = this.peers.length;
    this.startBarrier = new StartBarrier(this.peers, reportIntervalMs);
    this.delivery = new Delivery(
      {
        session: this.session,
        geometry,
        manifest,
        peers: this.peers,
        seal,
        hash: crypto.hash,
        group,
        reportIntervalMs,
        // Keeps sessions from probing their paths in step.
        randomPhase: this.session / 2 ** 32,
        rateBytesPerSec,
      },
      {
        need: (block, offsetBytes, sizeBytes) =>
          this.events.push({ type: 'need', block, offsetBytes, sizeBytes }),
        sourceChanged: (offsetBytes) => this.events.push({ type: 'source-changed', offsetBytes }),
        poll: (nowMs, peer) => this.connections.poll(nowMs, peer),
      },
    );
    this.connections = new Connections(
      {
        ...terms,
        session: this.session,
        peers: this.peers,
        crypto,
        mssBytes: geometry.mssBytes,
      },
      {
        send: (peer, bytes) => this.send(peer, bytes),
        sendMessage: (peer, message) => this.sendMessage(peer, message),
        countFault: (kind, from, bytes) => this.faults.add(kind, from, bytes),
        offerTo: (peer) => this.offerTo(peer),
        pollOf: (peer) => this.pollOf(peer),
        rootFor: (peer) => this.rootFor(peer),
        identify: (nowMs, peer) => this.identify(nowMs, peer),
        handleOtherAddress: ({ name, addresses }) =>
          this.events.push(otherAddressEvent(name, addresses)),
        suspectNarrowPath: ({ name, index }) =>
          this.events.push({ type: 'narrow-path', receiver: name, index }),
        handleSilence: (peer) => {
          this.events.push({ type: 'silent', receiver: peer.name });
          this.delivery.handleChange(peer);
        },
        settleFailed: (nowMs, peer, reason) => this.settle(nowMs, peer, 'failed', reason),
        giveUp: (nowMs, index, reason) => this.giveUp(nowMs, index, reason),
      },
    );
  }

  get isDone(): boolean {
    return this.phase === 'done';
  }

  /** Answers a `need` event with exactly the bytes that it named. The bytes are copied. */
  provideBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    if (this.phase === 'done') return;
    this.delivery.provideBlock(block, bytes);
    this.advance(nowMs);
  }

  /** Answers an `identify` event. Without a `refusal` the receiver is trusted. */
  trust(nowMs: TimeMs, index: number, refusal?: string): void {
    const peer = at(this.peers, index);
    if (peer.status !== 'identifying' || peer.handshake === undefined) return;
    if (refusal !== undefined) {
      this.settle(nowMs, peer, 'failed', refusal);
      this.advance(nowMs);
      return;
    }
    peer.trustedKey = peer.handshake.receiverKey;
    // The peer cannot answer while the user is being prompted.
    peer.heardAtMs = nowMs;
    this.prove(nowMs, peer, peer.handshake);
  }

  /** Answers a `check-source` event: the source did not change while it was read. */
  confirmSource(nowMs: TimeMs): void {
    if (this.phase !== 'checking') return;
    this.phase = 'confirmed';
    // Receivers answer the digest at once, so it is sent to one after another.
    const isActive = ({ status }: SessionPeer) => status === 'active';
    this.connections.scheduleEachFrom(this.peers.filter(isActive), nowMs);
    this.connections.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  /** Whether content may have been sent. From then on the segment size is fixed. */
  get hasOpenedContent(): boolean {
    return this.startBarrier.isOpen;
  }

  /** Fails this receiver; the session continues with the others. */
  giveUp(nowMs: TimeMs, index: number, reason: string): void {
    const peer = at(this.peers, index);
    if (peer.isSettled) return;
    this.dismiss(nowMs, peer, 'failed', reason);
    this.advance(nowMs);
  }

  /** A host or a firewall reports (ICMP) that a receiver's port refuses datagrams. */
  handleRefusal(index: number, from: Address, code: RefusalCode): void {
    const peer = at(this.peers, index);
    const event = peer.isSettled ? undefined : this.connections.noteRefusal(peer, from, code);
    if (event !== undefined) this.events.push(event);
  }

  /**
   * Another session replaces this one. From now on it only answers messages about its end. Receivers are not
   * notified: one that accepts a single session would then accept no other.
   */
  retire(): void {
    for (const peer of this.peers) if (!peer.isSettled) peer.status = 'aborted';
    this.unsettledCount = 0;
    this.phase = 'done';
    // The next session offers the object again.
    this.isObjectFinal = false;
    this.delivery.end();
    this.controls.clear();
  }

  /**
   * Stops the session: notifies every unfinished receiver and ends with `done`.
   * @param isFinal whether the object will never be sent again, so that receivers need not keep their parts
   */
  abort(nowMs: TimeMs, reason: string, isFinal = false): void {
    if (isFinal) this.isObjectFinal = true;
    for (const peer of this.peers) {
      if (peer.isSettled) continue;
      this.dismiss(nowMs, peer, 'aborted', reason);
    }
    this.advance(nowMs);
  }

  /** Takes a datagram from any address; what no receiver sent is counted. */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string') {
      this.faults.add(packet, from, bytes);
    } else if (packet.session !== this.session) {
      this.faults.add('no-session', from, bytes);
    } else if (packet.kind !== 'cookie' && packet.kind !== 'reply' && packet.kind !== 'control') {
      this.faults.add('wrong-direction', from, bytes);
    } else {
      const peer = this.peers[packet.receiver];
      if (peer === undefined) this.faults.add('stranger', from, bytes);
      else if (packet.kind === 'control') this.handleControl(nowMs, peer, packet, from, bytes);
      else this.connections.handleHandshake(nowMs, peer, packet, from, bytes);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    if (stoppedMs > 0) this.connections.handleStop(stoppedMs);
    if (nowMs >= this.connections.dueAtMs) this.connections.handleTimeout(nowMs);
    if (this.probe !== undefined && nowMs >= this.probe.dueAtMs) this.sendProbe(nowMs, this.probe);
    this.delivery.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (this.phase !== 'done' && this.startedAtMs === undefined) {
      this.startedAtMs = nowMs;
      this.connections.start(nowMs);
    }
    const control = this.controls.shift();
    if (control !== undefined) return control;
    return this.phase === 'done' ? undefined : this.delivery.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    if (this.phase === 'done' || this.startedAtMs === undefined) return undefined;
    return Math.min(
      this.connections.dueAtMs,
      this.probe?.dueAtMs ?? Infinity,
      this.delivery.pollTimeout() ?? Infinity,
    );
  }

  pollEvent(): SessionSenderEvent | undefined {
    return this.events.shift();
  }

  private root(): Uint8Array {
    this.rootDigest ??= this.delivery.tree.root();
    return this.rootDigest;
  }

  private isWaitingForRoot(peer: SessionPeer): boolean {
    return peer.state === 'whole' && this.delivery.owesNothing(peer);
  }

  private rootFor(peer: SessionPeer): Uint8Array | undefined {
    const isDue = this.phase === 'confirmed' && this.isWaitingForRoot(peer);
    return isDue ? this.root() : undefined;
  }

  /** A slow receiver is served by unicast and need not join the group. */
  private offerTo(peer: SessionPeer): Offer {
    return this.delivery.isSlowReceiver(peer) ? { ...this.offer, groupHost: '' } : this.offer;
  }

  private pollOf(peer: SessionPeer): Message {
    return {
      kind: 'poll',
      burst: peer.rateGroup?.lastWholeBurst,
      hasTags: this.delivery.usesTags,
      leavesGroup: this.delivery.isSlowReceiver(peer),
      reportGapMs: peer.returnPath.gapMs,
    };
  }

  // --- Messages from receivers

  private identify(nowMs: TimeMs, peer: SessionPeer): void {
    const receiverKey = peer.handshake?.receiverKey;
    assert(receiverKey !== undefined, 'the receiver has shown its key');
    peer.status = 'identifying';
    peer.retryAtMs = Infinity;
    const { trustedKey } = peer;
    const isKnown = trustedKey !== undefined && isEqualBytes(trustedKey, receiverKey);
    if (isKnown && peer.handshake !== undefined) {
      // The liveness timeout keeps running: an attacker on the path may corrupt every confirmation.
      this.prove(nowMs, peer, peer.handshake);
    } else {
      const { index, name } = peer;
      this.events.push({ type: 'identify', index, receiver: name, receiverKey });
    }
  }

  private prove(nowMs: TimeMs, peer: SessionPeer, handshake: OutgoingHandshake): void {
    handshake.prove();
    peer.channel = handshake.channel;
    peer.status = 'offered';
    this.connections.sendRequest(nowMs, peer);
  }

  private handleControl(
    nowMs: TimeMs,
    peer: SessionPeer,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    const opened = peer.channel?.open(packet);
    if (opened === undefined || typeof opened === 'string') {
      this.faults.add(opened ?? 'no-session', from, bytes);
      return;
    }
    const message = decodeMessage(opened);
    if (message === undefined) {
      this.faults.add('bad-message', from, bytes);
      return;
    }
    if (peer.isSettled) {
      // The result is known, but the confirmation was lost.
      if (message.kind === 'done') this.sayBye(peer);
      return;
    }
    peer.isHeard = true;
    peer.heardCount++;
    peer.heardAtMs = nowMs;
    peer.addresses.noteAnswer(from);
    peer.unansweredPolls = 0;
    // The receiver answers on its old channel although a new connection was begun: it was only away.
    if (peer.status === 'connecting' && peer.startedAtMs !== undefined)
      this.handleReturn(nowMs, peer);
    if (!this.handleMessage(nowMs, peer, packet.counter, message)) {
      this.faults.add('bad-message', from, bytes);
    }
    this.advance(nowMs);
  }

  private handleReturn(nowMs: TimeMs, peer: SessionPeer): void {
    peer.status = 'active';
    peer.handshake = undefined;
    peer.isResponsive = true;
    this.delivery.handleChange(peer);
    this.connections.sendRequest(nowMs, peer);
  }

  /** @returns whether it is a message for a sender */
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
        if (message.isTemporary) {
          this.defer(nowMs, peer, message.reason);
          return true;
        }
        this.sayBye(peer);
        this.settle(nowMs, peer, 'refused', this.refusalReason(message));
        return true;
      case 'report':
        // Out-of-range blocks: the receiver disagrees about the geometry.
        if (message.report.describedBlocks > this.geometry.blockCount) return false;
        this.handleReport(nowMs, peer, counter, message.report);
        return true;
      case 'nodes-request':
        this.handleNodesRequest(nowMs, peer, message);
        return true;
      case 'done': {
        this.sayBye(peer);
        peer.missingBytes = message.isComplete ? 0 : peer.missingBytes;
        peer.receivedBytes = message.receivedBytes;
        peer.segmentsReceived = message.segmentsReceived;
        peer.segmentsLost = message.segmentsLost;
        const reason = message.reason === '' ? undefined : message.reason;
        this.settle(nowMs, peer, message.isComplete ? 'complete' : 'failed', reason);
        return true;
      }
      default:
        return false;
    }
  }

  private refusalReason({ reason, sameAs }: Refuse): string {
    const same = sameAs === undefined ? undefined : this.peers[sameAs];
    return same === undefined ? reason : `is the same receiver as ${same.name}; name it once`;
  }

  private defer(nowMs: TimeMs, peer: SessionPeer, reason: string): void {
    if (peer.status !== 'offered') return;
    if (peer.deferral === undefined) {
      this.events.push({ type: 'deferred', receiver: peer.name, reason });
    }
    this.connections.defer(nowMs, peer, reason);
  }

  private handleAccept(nowMs: TimeMs, peer: SessionPeer, selfName: string): void {
    if (peer.status !== 'offered') return;
    peer.status = 'active';
    peer.deferral = undefined;
    peer.handshake = undefined;
    peer.selfName = selfName;
    peer.isResponsive = true;
    peer.startedAtMs ??= nowMs;
    this.connections.noteProgress(nowMs, peer);
    peer.handshakes = 0;
    // The receiver may have been restarted, so its gaps are reported from the beginning.
    peer.lastReport = -1;
    peer.needed.clear();
    peer.state = 'preparing';
    peer.missingBytes = undefined;
    peer.earlierBytes += peer.receivedBytes;
    peer.receivedBytes = 0;
    peer.isGroupLost = false;
    peer.returnPath = new ReturnPath();
    this.delivery.handleRestart(peer);
    peer.isPollDue = false;
    this.events.push({ type: 'connect', receiver: peer.name, selfName });
    this.delivery.handleChange(peer);
    this.probe?.restart(nowMs);
    this.connections.sendRequest(nowMs, peer);
  }

  private handleReport(nowMs: TimeMs, peer: SessionPeer, counter: number, report: Report): void {
    // The report came before the accept, or a later one overtook it.
    if (peer.status !== 'active' || counter <= peer.lastReport) return;
    peer.lastReport = counter;
    this.reportsReceived++;
    const hasCome = report.missingBytes < (peer.missingBytes ?? Infinity);
    if (hasCome || report.state === 'preparing' || report.state === 'storing') {
      this.connections.noteProgress(nowMs, peer);
    }
    const wasWaiting = this.isWaitingForRoot(peer);
    peer.state = report.state;
    peer.missingBytes = report.missingBytes;
    peer.receivedBytes = report.receivedBytes;
    const { blockCount, manifestBlockCount } = this.geometry;
    if (report.describedBlocks > manifestBlockCount || blockCount === manifestBlockCount) {
      peer.isReady = true;
    }
    const hasNewGap = peer.returnPath.take(nowMs, report.stampMs);
    peer.model.reportGapMs = peer.returnPath.gapMs;
    this.delivery.handleReport(nowMs, peer, report);
    if (hasNewGap) this.connections.poll(nowMs, peer);
    // Multicast data fills its path until it has left the group.
    if (report.isMulticastReachable && this.delivery.isSlowReceiver(peer))
      this.askToLeave(nowMs, peer);
    if (!wasWaiting && this.isWaitingForRoot(peer)) this.connections.sendRequest(nowMs, peer);
  }

  private askToLeave(nowMs: TimeMs, peer: SessionPeer): void {
    if (nowMs - peer.polledAtMs >= retryTiming.firstMs) this.connections.poll(nowMs, peer);
  }

  private handleNodesRequest(nowMs: TimeMs, peer: SessionPeer, request: NodesRequest): void {
    if (!this.delivery.isRead) return;
    this.connections.noteProgress(nowMs, peer);
    const { height, firstNode } = request;
    const count = Math.min(request.count, maxNodesPerMessage);
    const digests = this.delivery.tree.nodes(height, firstNode, count);
    if (digests.length > 0) this.sendMessage(peer, { kind: 'nodes', height, firstNode, digests });
  }

  /** Receivers report a probe that reached them. Reports may be lost, so the others are polled. */
  private sendProbe(nowMs: TimeMs, probe: GroupProbe): void {
    const { transmit, isLast } = probe.take(nowMs);
    this.controls.push(transmit);
    if (!isLast || this.startBarrier.isOpen) return;
    const asked = this.peers.filter(
      ({ status, isMulticastReachable, isPollDue }) =>
        status === 'active' && !isMulticastReachable && !isPollDue,
    );
    for (const peer of asked) peer.isPollDue = true;
    this.connections.scheduleEachFrom(asked, nowMs + retryTiming.probeWaitMs / 2);
  }

  // --- Progress of the session

  private advance(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    if (this.unsettledCount === 0) {
      this.phase = 'done';
      this.delivery.end();
      this.events.push({ type: 'done', result: this.result(nowMs) });
      return;
    }
    if (!this.startBarrier.isOpen) this.tryOpenContent(nowMs);
    if (this.phase === 'open' && this.startBarrier.isOpen && this.delivery.isRead) {
      this.phase = 'checking';
      this.events.push({ type: 'check-source' });
    }
  }

  private tryOpenContent(nowMs: TimeMs): void {
    const againAtMs = this.startBarrier.tryOpen(nowMs, this.probe?.answersUntilMs ?? -Infinity);
    if (this.startBarrier.isOpen) this.delivery.openContent();
    else if (againAtMs !== undefined) this.connections.lookBy(againAtMs);
  }

  /** Sends a `bye` and settles the receiver's outcome. */
  private dismiss(
    nowMs: TimeMs,
    peer: SessionPeer,
    status: 'aborted' | 'failed',
    reason: string,
  ): void {
    for (let i = 0; i < abortCopies; i++) this.sayBye(peer, reason);
    this.settle(nowMs, peer, status, reason);
  }

  private settle(
    nowMs: TimeMs,
    peer: SessionPeer,
    status: SessionReceiverOutcome['status'],
    reason?: string,
  ): void {
    if (peer.isSettled) return;
    peer.status = status;
    peer.reason = reason;
    peer.isResponsive = false;
    peer.settledAtMs = nowMs;
    this.settledAtMs = nowMs;
    this.unsettledCount--;
    this.delivery.handleChange(peer);
    const outcome = this.status(nowMs, peer) as SessionReceiverOutcome;
    this.events.push({ type: 'receiver', outcome });
  }

  private sayBye(peer: SessionPeer, reason = ''): void {
    this.sendMessage(peer, { kind: 'bye', reason, isFinal: this.isObjectFinal });
  }

  private send(peer: SessionPeer, bytes: Uint8Array | undefined): void {
    if (bytes !== undefined) this.controls.push({ to: peer.address, bytes });
  }

  private sendMessage(peer: SessionPeer, message: Message): void {
    if (peer.channel === undefined || peer.channel.isSpent) return;
    const encoded = encodeMessage(message);
    assert(encoded.length <= maxControlSizeBytes, 'a message fits one datagram');
    this.send(peer, peer.channel.seal(encoded));
  }

  /** The current status of one receiver. */
  status(nowMs: TimeMs, peer: SessionPeer): SessionReceiverStatus {
    return statusOf(nowMs, peer, this.geometry.contentSizeBytes, this.phase === 'confirmed');
  }

  get reportCount(): number {
    return this.reportsReceived;
  }

  /** Outcomes and counts so far. */
  result(nowMs: TimeMs): SessionSenderResult {
    const { delivery } = this;
    const root = delivery.isRead ? { rootDigest: toHex(this.root()) } : {};
    return {
      contentSizeBytes: this.geometry.contentSizeBytes,
      elapsedMs: Math.max(0, this.settledAtMs - (this.startedAtMs ?? this.settledAtMs)),
      objectId: toHex(this.offer.manifestDigest),
      ...root,
      datagramsSent: delivery.datagramsSent,
      groupDatagramsSent: delivery.groupDatagramsSent,
      bytesSent: delivery.bytesSent,
      repairs: delivery.repairs,
      reportsReceived: this.reportsReceived,
      receivers: this.peers
        .filter((peer) => peer.isSettled)
        .map((peer) => this.status(nowMs, peer) as SessionReceiverOutcome),
      faults: this.faults.toCounts(),
    };
  }
}

/** Copies of a `bye` that ends a session early; receivers do not confirm it. */
const abortCopies = 3;

const rttLimits = {
  initialMs: 100,
  granularityMs: 1,
  minMs: 5,
  maxMs: 5000,
  maxBackoffMs: 5000,
} as const;
