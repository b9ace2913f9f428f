/**
 * The sender of a session, which sends one object to N receivers. It connects to each receiver, authenticates
 * the receiver's key, and tracks the receiver until it has an outcome (SESSIONS 3 to 6).
 * `transfer/delivery.ts` sends the data.
 */
import type { Address } from '../base/address.js';
import { assert, at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { stoppedTimeMs } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import { Queue } from '../base/queue.js';
import type { RefusalCode } from '../base/refusal.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { SessionGeometry } from '../object/geometry.js';
import { otherAddressEvent } from '../path/candidate-addresses.js';
import { BlockSeal } from '../security/block-seal.js';
import type { OutgoingHandshake } from '../security/handshake.js';
import { secretFor } from '../security/invitations.js';
import { retryTiming } from '../transfer/config.js';
import { Delivery } from '../transfer/delivery.js';
import { SessionPeer } from '../transfer/peer.js';
import { isEqualBytes, toHex } from '../wire/byte-codec.js';
import { FaultLog } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import { decodeSession, describeSession } from '../wire/header.js';
import type { Message, Offer } from '../wire/messages.js';
import { decodeMessage } from '../wire/messages.js';
import { keySizeBytes } from '../wire/sizes.js';
import { Connections } from './connections.js';
import { ControlOutbox } from './control-outbox.js';
import { GroupProbe } from './group-probe.js';
import { ReceiverMessages } from './receiver-messages.js';
import { ReceiverOutcomes } from './receiver-outcomes.js';
import { statusOf } from './receiver-status.js';
import { RootDigest } from './root-digest.js';
import type {
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from './sender-events.js';
import type { SessionSenderOptions, SessionTerms } from './sender-options.js';
import { agreeTerms, createOffer, sparingOf } from './sender-options.js';
import { StartBarrier } from './start-barrier.js';

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
  readonly peers: readonly SessionPeer[];
  readonly reportIntervalMs: number;

  private readonly events = new Queue<SessionSenderEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly outbox = new ControlOutbox();
  private readonly delivery: Delivery;
  private readonly offer: Offer;
  /** Undefined without a multicast group. */
  private readonly probe: GroupProbe | undefined;
  private readonly rootDigest: RootDigest;
  private readonly outcomes: ReceiverOutcomes;
  private readonly connections: Connections;
  private readonly messages: ReceiverMessages;
  private readonly startBarrier: StartBarrier;

  private phase: Phase = 'open';
  private startedAtMs: TimeMs | undefined;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(private readonly options: SessionSenderOptions) {
    const { receivers, crypto, group } = options;
    const terms = agreeTerms(options);
    const { geometry, reportIntervalMs } = terms;
    this.geometry = geometry;
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
    this.startBarrier = new StartBarrier(this.peers, reportIntervalMs);
    this.delivery = this.createDelivery(options, seal);
    this.rootDigest = new RootDigest(this.delivery);
    const { peers, outbox, delivery, rootDigest, probe } = this;
    const emit = (event: SessionSenderEvent) => this.events.push(event);
    this.outcomes = new ReceiverOutcomes({
      ...{ peers, outbox, delivery, emit },
      contentSizeBytes: geometry.contentSizeBytes,
      isObjectFinal: options.isUnrepeatable ?? false,
    });
    this.connections = this.createConnections(options, terms);
    const { outcomes, connections } = this;
    const shared = { geometry, peers, outbox, delivery, rootDigest, isSpared: sparingOf(options) };
    this.messages = new ReceiverMessages({ ...shared, outcomes, connections, probe, emit });
  }

  private createDelivery(
    { manifest, crypto, group, rateBytesPerSec }: SessionSenderOptions,
    seal: BlockSeal,
  ): Delivery {
    const { session, geometry, peers, reportIntervalMs } = this;
    return new Delivery(
      {
        ...{ session, geometry, peers, reportIntervalMs, manifest, seal, group, rateBytesPerSec },
        hash: crypto.hash,
        // Keeps concurrent sessions from probing their paths at the same moments.
        randomPhase: session / 2 ** 32,
      },
      {
        need: (block, offsetBytes, sizeBytes) =>
          this.events.push({ type: 'need', block, offsetBytes, sizeBytes }),
        sourceChanged: (offsetBytes) => this.events.push({ type: 'source-changed', offsetBytes }),
        poll: (nowMs, peer) => this.connections.poll(nowMs, peer),
      },
    );
  }

  private createConnections({ crypto }: SessionSenderOptions, terms: SessionTerms): Connections {
    const { session, peers, outbox, rootDigest, outcomes } = this;
    const { mssBytes } = this.geometry;
    return new Connections(
      { ...terms, session, peers, outbox, rootDigest, crypto, mssBytes },
      {
        countFault: (kind, from, bytes) => this.faults.add(kind, from, bytes),
        offerTo: (peer) => this.offerTo(peer),
        pollOf: (peer) => this.pollOf(peer),
        identify: (nowMs, peer) => this.identify(nowMs, peer),
        handleOtherAddress: ({ name, addresses }) =>
          this.events.push(otherAddressEvent(name, addresses)),
        suspectNarrowPath: ({ name, index }) =>
          this.events.push({ type: 'narrow-path', receiver: name, index }),
        handleSilence: (peer) => {
          this.events.push({ type: 'silent', receiver: peer.name });
          this.delivery.handleChange(peer);
        },
        settleFailed: (nowMs, peer, reason) => outcomes.settle(nowMs, peer, 'failed', reason),
        failReceiver: (nowMs, { index }, reason) => this.failReceiver(nowMs, index, reason),
      },
    );
  }

  get isDone(): boolean {
    return this.phase === 'done';
  }

  /** Answers a `need` event with exactly the requested bytes. The bytes are copied. */
  provideBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    if (this.phase === 'done') return;
    this.delivery.provideBlock(block, bytes);
    this.advance(nowMs);
  }

  /** Answers an `identify` event: trusts the receiver, or fails it with `refusal` as the reason. */
  trust(nowMs: TimeMs, index: number, refusal?: string): void {
    const peer = at(this.peers, index);
    if (peer.status !== 'identifying' || peer.handshake === undefined) return;
    if (refusal !== undefined) {
      this.outcomes.settle(nowMs, peer, 'failed', refusal);
      this.advance(nowMs);
      return;
    }
    peer.trustedKey = peer.handshake.receiverKey;
    // While the user was prompted, the receiver had nothing to answer. This time does not count as silence.
    peer.lastReceivedAtMs = nowMs;
    this.prove(nowMs, peer, peer.handshake);
  }

  /** The shell calls this after a `check-source` event, unless the source changed while it was read. */
  confirmSource(nowMs: TimeMs): void {
    if (this.phase !== 'checking') return;
    this.phase = 'open';
    this.rootDigest.handleConfirmed();
    // Receivers answer the digest immediately. It is sent to one receiver after another, to spread answers.
    const due = this.peers.filter((peer) => this.rootDigest.isConfirmedFor(peer));
    this.connections.scheduleEachFrom(due, nowMs);
    this.connections.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  /** Whether the sender has begun to send content. From then on, the segment size is fixed. */
  get hasOpenedContent(): boolean {
    return this.startBarrier.isOpen;
  }

  /** Fails this receiver; the session continues with the others. */
  failReceiver(nowMs: TimeMs, index: number, reason: string): void {
    const peer = at(this.peers, index);
    if (peer.isSettled) return;
    this.outcomes.dismiss(nowMs, peer, 'failed', reason);
    this.advance(nowMs);
  }

  /** Handles an ICMP error: a receiver's port refuses datagrams. */
  handleRefusal(index: number, from: Address, code: RefusalCode): void {
    const peer = at(this.peers, index);
    const event = peer.isSettled ? undefined : this.connections.noteRefusal(peer, from, code);
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
    for (const peer of this.peers) this.outcomes.dismiss(nowMs, peer, 'aborted', reason);
    this.advance(nowMs);
  }

  /** Handles a datagram from any address. A datagram that no receiver sent is counted as a fault. */
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
    const control = this.outbox.shift();
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

  /** The offer to this receiver. A slow receiver is served by unicast and need not join the group. */
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

  // --- Trust

  private identify(nowMs: TimeMs, peer: SessionPeer): void {
    const receiverKey = peer.handshake?.receiverKey;
    assert(receiverKey !== undefined, 'the receiver has shown its key');
    peer.status = 'identifying';
    peer.retryAtMs = Infinity;
    const { trustedKey } = peer;
    const isKnown = trustedKey !== undefined && isEqualBytes(trustedKey, receiverKey);
    if (isKnown && peer.handshake !== undefined) {
      // An attacker on the path might corrupt every confirmation, so the liveness timeout keeps running.
      this.prove(nowMs, peer, peer.handshake);
    } else {
      const { index, name } = peer;
      this.events.push({ type: 'identify', index, receiver: name, receiverKey });
    }
  }

  private prove(nowMs: TimeMs, peer: SessionPeer, handshake: OutgoingHandshake): void {
    const { receiverKey } = handshake;
    assert(receiverKey !== undefined, 'the receiver has shown its key');
    handshake.prove(secretFor(this.options.invitations ?? [], receiverKey));
    peer.channel = handshake.channel;
    peer.status = 'offered';
    this.connections.sendRequest(nowMs, peer);
  }

  // --- Messages from receivers

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
      // The receiver repeats its result because the confirmation was lost.
      if (message.kind === 'done') this.outcomes.sendBye(peer);
      return;
    }
    if (!this.messages.handle(nowMs, peer, from, packet.counter, message)) {
      this.faults.add('bad-message', from, bytes);
    }
    this.advance(nowMs);
  }

  /**
   * Sends a probe. Receivers report its arrival, but the reports can be lost. After the last probe, the
   * sender therefore polls the receivers that have not reported any probe.
   */
  private sendProbe(nowMs: TimeMs, probe: GroupProbe): void {
    const { transmit, isLast } = probe.take(nowMs);
    this.outbox.push(transmit);
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
    if (this.outcomes.areSettled) {
      this.phase = 'done';
      this.delivery.end();
      this.events.push({ type: 'done', result: this.result(nowMs) });
      return;
    }
    if (!this.startBarrier.isOpen) this.tryOpenContent(nowMs);
    if (this.phase === 'open' && this.startBarrier.isOpen && this.rootDigest.isCheckDue) {
      this.phase = 'checking';
      this.rootDigest.handleCheck();
      this.events.push({ type: 'check-source' });
    }
  }

  private tryOpenContent(nowMs: TimeMs): void {
    const againAtMs = this.startBarrier.tryOpen(nowMs, this.probe?.answersUntilMs ?? -Infinity);
    if (this.startBarrier.isOpen) this.delivery.openContent();
    else if (againAtMs !== undefined) this.connections.lookBy(againAtMs);
  }

  /** The current status of one receiver. */
  status(nowMs: TimeMs, peer: SessionPeer): SessionReceiverStatus {
    const { contentSizeBytes } = this.geometry;
    return statusOf(nowMs, peer, contentSizeBytes, this.rootDigest.isConfirmedFor(peer));
  }

  get reportCount(): number {
    return this.messages.reportCount;
  }

  /** Outcomes and counts so far. */
  result(nowMs: TimeMs): SessionSenderResult {
    const { delivery, outcomes } = this;
    const root = this.rootDigest.value;
    const endedAtMs = outcomes.settledAtMs;
    return {
      contentSizeBytes: this.geometry.contentSizeBytes,
      elapsedMs: Math.max(0, endedAtMs - (this.startedAtMs ?? endedAtMs)),
      objectId: toHex(this.offer.manifestDigest),
      ...withoutUndefined({ rootDigest: root && toHex(root) }),
      datagramsSent: delivery.datagramsSent,
      groupDatagramsSent: delivery.groupDatagramsSent,
      bytesSent: delivery.bytesSent,
      repairs: delivery.repairs,
      reportsReceived: this.messages.reportCount,
      receivers: outcomes.list(nowMs),
      faults: this.faults.toCounts(),
    };
  }
}

const rttLimits = {
  initialMs: 100,
  granularityMs: 1,
  minMs: 5,
  maxMs: 5000,
  maxBackoffMs: 5000,
} as const;
