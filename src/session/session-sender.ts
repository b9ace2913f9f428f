/**
 * The sender of a session: one object to N receivers that it calls, knows by their keys, and sees through
 * to their outcomes (SESSIONS 3 to 6). What is sent in between is delivery.ts.
 */
import type { Address } from '../address.js';
import { assert, at } from '../assert.js';
import { P2mpError } from '../errors.js';
import { FaultLog } from '../faults.js';
import type { Machine, TimeMs, Transmit } from '../machine.js';
import { stoppedTimeMs } from '../machine.js';
import { readUint32 } from '../network-order.js';
import { Queue } from '../queue.js';
import { checkGiveUp, type ReceiverSpec } from '../sender-options.js';
import { BlockSeal } from './block-seal.js';
import { isEqualBytes, toHex } from './byte-codec.js';
import type { SessionCrypto } from './crypto.js';
import { keySizeBytes } from './crypto.js';
import { Delivery } from './delivery.js';
import { GroupProbe } from './group-probe.js';
import type { ExistingFiles, Message, NodesRequest, Offer } from './messages.js';
import { decodeMessage, encodeMessage, maxNodesPerMessage } from './messages.js';
import { PollBudget } from './poll-budget.js';
import { statusOf } from './receiver-status.js';
import type { Report } from './report.js';
import { dataFramingBytes, segmentsPerBlockFor } from './segment-size.js';
import { callTiming, maxControlSizeBytes, sessionDefaults } from './session-config.js';
import type {
  SessionReceiverOutcome,
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from './session-events.js';
import type { SessionGeometry } from './session-geometry.js';
import { createSessionGeometry, sessionMssLimits } from './session-geometry.js';
import { narrowPathAnswers, Opening } from './session-opening.js';
import type { ChannelPacket } from './session-packet.js';
import { decodeSession, describeSession } from './session-packet.js';
import { SessionPeer } from './session-peer.js';

export interface SessionSenderOptions {
  readonly receivers: readonly ReceiverSpec[];
  /** What people call the object. */
  readonly label: string;
  /** As `encodeManifest` makes it. */
  readonly manifest: Uint8Array;
  readonly contentSizeBytes: number;
  readonly crypto: SessionCrypto;
  readonly mssBytes?: number;
  /** As many as one send holds if left out. */
  readonly segmentsPerBlock?: number;
  /** The group to send to, as far as it reaches; left out for unicast alone. */
  readonly group?: Address;
  readonly existing?: ExistingFiles;
  readonly giveUpAfterMs?: number;
  /** A fixed limit; as fast as the path allows if left out. */
  readonly rateBytesPerSec?: number;
  /** Reports that may reach the sender each second. */
  readonly reportsPerSec?: number;
}

type Phase = 'open' | 'checking' | 'confirmed' | 'done';

/** A manifest up to this size travels with the offer. */
const inlineManifestBytes = 700;

/** Receivers are numbered by 16 bits. */
const maxReceivers = 65_535;

export class SessionSender implements Machine<SessionSenderEvent> {
  readonly session: number;
  readonly geometry: SessionGeometry;
  readonly peers: readonly SessionPeer[];
  readonly reportIntervalMs: number;

  private readonly crypto: SessionCrypto;
  private readonly delivery: Delivery;
  private readonly offer: Offer;
  /** Undefined where there is no group. */
  private readonly probe: GroupProbe | undefined;
  private readonly giveUpAfterMs: number;
  /** What many receivers answer to is sent to one after another, this far apart. */
  private readonly spacingMs: number;
  private readonly polls: PollBudget;
  private readonly events = new Queue<SessionSenderEvent>();
  private readonly controls = new Queue<Transmit>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);

  private phase: Phase = 'open';
  private startedAtMs: TimeMs | undefined;
  private settledAtMs: TimeMs = 0;
  private unsettledCount: number;
  private reportsReceived = 0;
  /** When some receiver is to be looked at. */
  private checkAtMs: TimeMs = 0;
  /** Since when there is a receiver that could be sent content. */
  private readyAtMs: TimeMs | undefined;
  private isContentOpen = false;
  private rootDigest: Uint8Array | undefined;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(options: SessionSenderOptions) {
    const { receivers, crypto, manifest, contentSizeBytes } = options;
    const { mssBytes = sessionDefaults.mssBytes, existing = 'update' } = options;
    const { segmentsPerBlock = segmentsPerBlockFor(mssBytes) } = options;
    const { reportsPerSec = sessionDefaults.reportsPerSec } = options;
    if (receivers.length === 0 || receivers.length > maxReceivers) {
      throw invalid(`${receivers.length} receivers: name 1 to ${maxReceivers}`);
    }
    const geometry = createSessionGeometry(
      manifest.length,
      contentSizeBytes,
      mssBytes,
      segmentsPerBlock,
    );
    for (const rate of [options.rateBytesPerSec ?? 1, reportsPerSec]) {
      if (!(rate > 0 && Number.isFinite(rate))) throw invalid(`rate ${rate}: must be above 0`);
    }
    const { minBytes, maxBytes } = sessionMssLimits;
    if (!Number.isInteger(mssBytes) || mssBytes < minBytes || mssBytes > maxBytes) {
      throw invalid(`MSS ${mssBytes}: must be a whole number from ${minBytes} to ${maxBytes}`);
    }
    if (geometry === undefined) {
      throw invalid(
        `${contentSizeBytes} bytes in segments of ${mssBytes}, ${segmentsPerBlock} a block: no such session; take larger segments`,
      );
    }
    this.geometry = geometry;
    this.crypto = crypto;
    this.session = readUint32(crypto.random(4), 0);
    this.reportIntervalMs = Math.max(
      sessionDefaults.minReportIntervalMs,
      (receivers.length * 1000) / (reportsPerSec * sessionDefaults.turnShare),
    );
    this.spacingMs = 1000 / reportsPerSec;
    // Many receivers have their turns seldom: that is no silence.
    this.giveUpAfterMs = Math.max(
      checkGiveUp(options.giveUpAfterMs ?? sessionDefaults.giveUpAfterMs),
      patienceReports * this.reportIntervalMs,
    );
    this.polls = new PollBudget(reportsPerSec * (1 - sessionDefaults.turnShare));
    const groupKey = crypto.random(keySizeBytes);
    const seal = new BlockSeal(crypto, groupKey);
    const { group } = options;
    this.probe = group === undefined ? undefined : new GroupProbe(group, this.session, seal);
    const offer: Offer = {
      kind: 'offer',
      label: options.label.slice(0, 100),
      mssBytes,
      segmentsPerBlock,
      manifestSizeBytes: manifest.length,
      contentSizeBytes,
      manifestDigest: crypto.hash(manifest),
      manifest,
      groupKey,
      groupHost: group?.host ?? '',
      reportIntervalMs: this.reportIntervalMs,
      existing,
    };
    // It is to pass where data does.
    const isInline =
      manifest.length <= inlineManifestBytes && encodeMessage(offer).length <= mssBytes;
    this.offer = isInline ? offer : { ...offer, manifest: new Uint8Array(0) };
    this.peers = receivers.map(
      ({ name, address }, index) => new SessionPeer(index, name, address, rttLimits),
    );
    this.unsettledCount = this.peers.length;
    this.delivery = new Delivery(
      {
        session: this.session,
        geometry,
        manifest,
        peers: this.peers,
        seal,
        hash: crypto.hash,
        group,
        reportIntervalMs: this.reportIntervalMs,
        // Sessions must not probe their paths in step.
        chance: this.session / 2 ** 32,
        rateBytesPerSec: options.rateBytesPerSec,
      },
      {
        need: (block, offsetBytes, sizeBytes) =>
          this.events.push({ type: 'need', block, offsetBytes, sizeBytes }),
        sourceChanged: (offsetBytes) => this.events.push({ type: 'source-changed', offsetBytes }),
        poll: (nowMs, peer) => this.poll(nowMs, peer),
      },
    );
  }

  get isDone(): boolean {
    return this.phase === 'done';
  }

  /** Answers a `need`: exactly the bytes that it named. They are copied. */
  provideBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    if (this.phase === 'done') return;
    this.delivery.provideBlock(block, bytes);
    this.advance(nowMs);
  }

  /** Answers `identify`; without a reason the receiver is trusted. */
  trust(nowMs: TimeMs, index: number, refusal?: string): void {
    const peer = at(this.peers, index);
    if (peer.status !== 'identifying' || peer.opening === undefined) return;
    if (refusal !== undefined) {
      this.settle(nowMs, peer, 'failed', refusal);
      this.advance(nowMs);
      return;
    }
    peer.trustedKey = peer.opening.receiverKey;
    // For as long as a person was asked, nothing could come.
    peer.heardAtMs = nowMs;
    this.prove(nowMs, peer, peer.opening);
  }

  /** Answers `check-source`: what was read is what the object is. */
  confirmSource(nowMs: TimeMs): void {
    if (this.phase !== 'checking') return;
    this.phase = 'confirmed';
    // Receivers answer to the digest at once, so they get it one after another.
    let atMs = nowMs;
    for (const peer of this.peers) {
      if (peer.status !== 'active') continue;
      this.callAt(peer, atMs);
      atMs += this.spacingMs;
    }
    this.checkPeers(nowMs);
    this.advance(nowMs);
  }

  /** Whether content may have left: from then on, its segments stay as they are. */
  get hasOpenedContent(): boolean {
    return this.isContentOpen;
  }

  /** Goes on without this receiver. */
  giveUp(nowMs: TimeMs, index: number, reason: string): void {
    const peer = at(this.peers, index);
    if (peer.isSettled) return;
    this.dismiss(nowMs, peer, 'failed', reason);
    this.advance(nowMs);
  }

  /**
   * Another session takes the place of this one at the receivers: only what they say of its end is
   * answered from now on. They are not told, for one that takes a single session would take no other.
   */
  retire(): void {
    for (const peer of this.peers) if (!peer.isSettled) peer.status = 'aborted';
    this.unsettledCount = 0;
    this.phase = 'done';
    this.delivery.end();
    this.controls.clear();
  }

  /** Stops here: tells every unfinished receiver, and ends with `done`. */
  abort(nowMs: TimeMs, reason: string): void {
    for (const peer of this.peers) {
      if (peer.isSettled) continue;
      this.dismiss(nowMs, peer, 'aborted', reason);
    }
    this.advance(nowMs);
  }

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
      else this.handleOpening(nowMs, peer, packet, from, bytes);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    if (stoppedMs > 0) {
      for (const peer of this.peers) {
        peer.heardAtMs += stoppedMs;
        peer.progressAtMs += stoppedMs;
      }
    }
    if (nowMs >= this.checkAtMs) this.checkPeers(nowMs);
    if (this.probe !== undefined && nowMs >= this.probe.dueAtMs) this.sendProbe(nowMs, this.probe);
    this.delivery.handleTimeout(nowMs);
    this.advance(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (this.phase !== 'done' && this.startedAtMs === undefined) this.start(nowMs);
    const control = this.controls.shift();
    if (control !== undefined) return control;
    return this.phase === 'done' ? undefined : this.delivery.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    if (this.phase === 'done' || this.startedAtMs === undefined) return undefined;
    return Math.min(
      this.checkAtMs,
      this.probe?.dueAtMs ?? Infinity,
      this.delivery.pollTimeout() ?? Infinity,
    );
  }

  pollEvent(): SessionSenderEvent | undefined {
    return this.events.shift();
  }

  // --- Calling receivers

  private start(nowMs: TimeMs): void {
    this.startedAtMs = nowMs;
    for (const peer of this.peers) {
      peer.heardAtMs = nowMs;
      peer.progressAtMs = nowMs;
      peer.callWaitMs = callTiming.firstMs;
      // Many receivers are called one after another: their answers are to be read as they come.
      peer.callAtMs = nowMs + peer.index * this.spacingMs;
    }
    this.checkPeers(nowMs);
  }

  /** Looks at every receiver whose time has come. With many, not more often than is useful. */
  private checkPeers(nowMs: TimeMs): void {
    this.checkAtMs = Infinity;
    for (const peer of this.peers) {
      if (peer.isSettled) continue;
      if (peer.callAtMs <= nowMs) this.handleDue(nowMs, peer);
      if (!peer.isSettled) this.checkAtMs = Math.min(this.checkAtMs, peer.callAtMs);
    }
    this.checkAtMs = Math.max(this.checkAtMs, nowMs + this.peers.length * checkGrainMs);
  }

  private handleDue(nowMs: TimeMs, peer: SessionPeer): void {
    if (peer.status !== 'identifying' && nowMs - peer.heardAtMs >= this.giveUpAfterMs) {
      this.settle(nowMs, peer, 'failed', this.silenceReason(peer));
      return;
    }
    if (peer.status === 'active' && nowMs - peer.progressAtMs >= stuckTimes * this.giveUpAfterMs) {
      const seconds = (stuckTimes * this.giveUpAfterMs) / 1000;
      this.settle(nowMs, peer, 'failed', `answers, but has come no further for ${seconds} s`);
      return;
    }
    this.call(nowMs, peer, 'again');
  }

  /** Sends what the receiver is to answer next, and sets when to send it again. */
  private call(nowMs: TimeMs, peer: SessionPeer, which: 'first' | 'again'): void {
    const { firstMs, growth, maxMs } = callTiming;
    peer.callWaitMs = which === 'first' ? firstMs : Math.min(peer.callWaitMs * growth, maxMs);
    peer.callAtMs = nowMs + peer.callWaitMs;
    this.checkAtMs = Math.min(this.checkAtMs, peer.callAtMs);
    switch (peer.status) {
      case 'calling':
        // One that answered once and then no more may have been started anew.
        if (peer.opening?.stage === 'open' && which === 'again') {
          peer.offers++;
          if (peer.offers > callTiming.offerLimit) peer.opening = undefined;
        }
        peer.calledAtMs = which === 'first' || peer.opening === undefined ? nowMs : undefined;
        peer.opening ??= this.beginOpening(peer);
        for (const bytes of peer.opening.nextDatagrams()) this.send(peer, bytes);
        break;
      case 'offered':
        peer.offers = which === 'first' ? 1 : peer.offers + 1;
        if (peer.offers > callTiming.offerLimit) {
          // It may have been started anew, or somebody spoilt the handshake: from the beginning.
          peer.status = 'calling';
          peer.opening = undefined;
          this.call(nowMs, peer, 'first');
          return;
        }
        this.send(peer, peer.opening?.datagram);
        this.tell(peer, this.offerTo(peer));
        break;
      case 'active':
        this.callActive(nowMs, peer);
        break;
      default:
        break;
    }
  }

  /** Who was left behind need not listen to the group. */
  private offerTo(peer: SessionPeer): Offer {
    return this.delivery.isLeftBehind(peer) ? { ...this.offer, groupHost: '' } : this.offer;
  }

  private beginOpening(peer: SessionPeer): Opening {
    peer.offers = 0;
    const fullSizeBytes = this.geometry.mssBytes + dataFramingBytes;
    return new Opening(this.crypto, this.session, peer.index, fullSizeBytes);
  }

  private callAt(peer: SessionPeer, atMs: TimeMs): void {
    peer.callWaitMs = callTiming.firstMs;
    peer.callAtMs = atMs;
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }

  private callActive(nowMs: TimeMs, peer: SessionPeer): void {
    const quietMs = Math.max(callTiming.quietMs, 2 * this.reportIntervalMs);
    const isQuiet = nowMs - peer.heardAtMs >= quietMs;
    if (peer.isPollDue || isQuiet) {
      peer.isPollDue = !this.poll(nowMs, peer);
      // Asked too often in vain, it is called as in the beginning.
      if (peer.status !== 'active') return;
    }
    if (this.phase === 'confirmed' && this.isWaitingForRoot(peer)) {
      this.tell(peer, { kind: 'root', digest: this.root() });
    }
  }

  private root(): Uint8Array {
    this.rootDigest ??= this.delivery.tree.root();
    return this.rootDigest;
  }

  private isWaitingForRoot(peer: SessionPeer): boolean {
    return peer.state === 'whole' && this.delivery.owesNothing(peer);
  }

  /** @returns false where too many were asked just now */
  private poll(nowMs: TimeMs, peer: SessionPeer): boolean {
    if (peer.unansweredPolls >= callTiming.pollLimit) {
      this.handleSilence(nowMs, peer);
      return true;
    }
    // One that would soon be given up on is asked in any case.
    const isUrgent = nowMs - peer.heardAtMs >= this.giveUpAfterMs / 2;
    if (!this.polls.take(nowMs) && !isUrgent) return false;
    peer.polledAtMs = nowMs;
    peer.unansweredPolls++;
    const { lane } = peer;
    this.tell(peer, {
      kind: 'poll',
      burst: lane?.lastWholeBurst,
      hasTags: this.delivery.usesTags,
      leavesGroup: this.delivery.isLeftBehind(peer),
    });
    return true;
  }

  /** Others do not wait for it any longer; it is called as in the beginning, should it come back. */
  private handleSilence(nowMs: TimeMs, peer: SessionPeer): void {
    peer.isResponsive = false;
    peer.status = 'calling';
    peer.opening = undefined;
    peer.unansweredPolls = 0;
    peer.hearsGroup = false;
    this.events.push({ type: 'silent', receiver: peer.name });
    this.delivery.handleChange(peer);
    this.call(nowMs, peer, 'first');
  }

  private silenceReason(peer: SessionPeer): string {
    const seconds = this.giveUpAfterMs / 1000;
    if (peer.otherVersion !== undefined) return otherVersion(peer.otherVersion);
    const smallAnswers = peer.opening?.smallAnswers ?? 0;
    if (smallAnswers >= narrowPathAnswers.suspected) {
      return narrowPath(peer.name, this.geometry.mssBytes);
    }
    if (peer.isHeard) return `fell silent for ${seconds} s; send again once it is back`;
    const { port } = peer.address;
    return `no answer for ${seconds} s; is p2mp receive running there, and does a firewall let UDP port ${port} through?`;
  }

  // --- What receivers say

  private handleOpening(
    nowMs: TimeMs,
    peer: SessionPeer,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    if (peer.status !== 'calling' || peer.opening === undefined) return;
    const outcome = peer.opening.handle(packet);
    if (outcome === 'advanced' && peer.calledAtMs !== undefined) {
      peer.model.takeOpening(nowMs, nowMs - peer.calledAtMs);
    }
    if (outcome === 'other-version') {
      // Anybody on the way may have written that: it is told only if nothing better comes.
      this.faults.add('other-version', from, bytes);
      peer.otherVersion = packet.version;
    } else if (outcome === 'bad-handshake') {
      this.faults.add('bad-handshake', from, bytes);
      // A forged answer must not end it: it begins anew.
      peer.opening = undefined;
    } else if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, peer, peer.opening.smallAnswers);
    } else if (outcome === 'advanced') {
      // Whoever answers so has proven nothing: patience with it goes on running.
      if (peer.opening.stage === 'trust') this.identify(nowMs, peer);
      else this.call(nowMs, peer, 'first');
    }
  }

  /** It is there; whether the path is narrow is found out soon, before content flows to others. */
  private handleSmallAnswer(nowMs: TimeMs, peer: SessionPeer, smallAnswers: number): void {
    this.callAt(peer, nowMs + callTiming.firstMs);
    if (smallAnswers === narrowPathAnswers.suspected) {
      this.events.push({ type: 'narrow-path', receiver: peer.name, index: peer.index });
    } else if (smallAnswers === narrowPathAnswers.certain) {
      this.giveUp(nowMs, peer.index, narrowPath(peer.name, this.geometry.mssBytes));
    }
  }

  private identify(nowMs: TimeMs, peer: SessionPeer): void {
    const receiverKey = peer.opening?.receiverKey;
    assert(receiverKey !== undefined, 'the receiver has shown its key');
    peer.status = 'identifying';
    peer.callAtMs = Infinity;
    const { trustedKey } = peer;
    const isKnown = trustedKey !== undefined && isEqualBytes(trustedKey, receiverKey);
    if (isKnown && peer.opening !== undefined) {
      // Patience goes on running: somebody on the way may spoil each proof.
      this.prove(nowMs, peer, peer.opening);
    } else {
      const { index, name } = peer;
      this.events.push({ type: 'identify', index, receiver: name, receiverKey });
    }
  }

  private prove(nowMs: TimeMs, peer: SessionPeer, opening: Opening): void {
    opening.prove();
    peer.channel = opening.channel;
    peer.status = 'offered';
    this.call(nowMs, peer, 'first');
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
      // Its result is noted, but it has not heard so.
      if (message.kind === 'done') this.tell(peer, { kind: 'bye', reason: '' });
      return;
    }
    peer.isHeard = true;
    peer.heardAtMs = nowMs;
    peer.unansweredPolls = 0;
    // It was called again, and its old channel still speaks: it was only away.
    if (peer.status === 'calling' && peer.startedAtMs !== undefined) this.handleReturn(nowMs, peer);
    if (!this.handleMessage(nowMs, peer, packet.counter, message)) {
      this.faults.add('bad-message', from, bytes);
    }
    this.advance(nowMs);
  }

  private handleReturn(nowMs: TimeMs, peer: SessionPeer): void {
    peer.status = 'active';
    peer.opening = undefined;
    peer.isResponsive = true;
    this.delivery.handleChange(peer);
    this.call(nowMs, peer, 'first');
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
        this.tell(peer, { kind: 'bye', reason: '' });
        this.settle(nowMs, peer, 'refused', message.reason);
        return true;
      case 'report':
        // Blocks that there are not: a receiver of another mind.
        if (message.report.describedBlocks > this.geometry.blockCount) return false;
        this.handleReport(nowMs, peer, counter, message.report);
        return true;
      case 'nodes-request':
        this.handleNodesRequest(nowMs, peer, message);
        return true;
      case 'done': {
        this.tell(peer, { kind: 'bye', reason: '' });
        peer.lackingBytes = message.isComplete ? 0 : peer.lackingBytes;
        const reason = message.reason === '' ? undefined : message.reason;
        this.settle(nowMs, peer, message.isComplete ? 'complete' : 'failed', reason);
        return true;
      }
      default:
        return false;
    }
  }

  private handleAccept(nowMs: TimeMs, peer: SessionPeer, selfName: string): void {
    if (peer.status !== 'offered') return;
    peer.status = 'active';
    peer.opening = undefined;
    peer.selfName = selfName;
    peer.isResponsive = true;
    peer.startedAtMs ??= nowMs;
    peer.progressAtMs = nowMs;
    // It may have been started anew: what it lacks, it tells from the beginning.
    peer.lastReport = -1;
    peer.needed.clear();
    peer.state = 'preparing';
    peer.lackingBytes = undefined;
    peer.earlierBytes += peer.receivedBytes;
    peer.receivedBytes = 0;
    peer.isGroupLost = false;
    this.delivery.handleRestart(peer);
    peer.isPollDue = false;
    this.events.push({ type: 'connect', receiver: peer.name, selfName });
    this.delivery.handleChange(peer);
    this.probe?.restart(nowMs);
    this.call(nowMs, peer, 'first');
  }

  private handleReport(nowMs: TimeMs, peer: SessionPeer, counter: number, report: Report): void {
    // Before its accept came, or overtaken by a later one.
    if (peer.status !== 'active' || counter <= peer.lastReport) return;
    peer.lastReport = counter;
    this.reportsReceived++;
    const hasCome = report.lackingBytes < (peer.lackingBytes ?? Infinity);
    if (hasCome || report.state === 'preparing' || report.state === 'storing') {
      peer.progressAtMs = nowMs;
    }
    const wasWaiting = this.isWaitingForRoot(peer);
    peer.state = report.state;
    peer.lackingBytes = report.lackingBytes;
    peer.receivedBytes = report.receivedBytes;
    const { blockCount, manifestBlockCount } = this.geometry;
    if (report.describedBlocks > manifestBlockCount || blockCount === manifestBlockCount) {
      peer.isReady = true;
    }
    this.delivery.handleReport(nowMs, peer, report);
    // Until it has left the group, what goes there fills its path.
    if (report.hearsGroup && this.delivery.isLeftBehind(peer)) this.askToLeave(nowMs, peer);
    if (!wasWaiting && this.isWaitingForRoot(peer)) this.call(nowMs, peer, 'first');
  }

  private askToLeave(nowMs: TimeMs, peer: SessionPeer): void {
    if (nowMs - peer.polledAtMs >= callTiming.firstMs) this.poll(nowMs, peer);
  }

  private handleNodesRequest(nowMs: TimeMs, peer: SessionPeer, request: NodesRequest): void {
    if (!this.delivery.isRead) return;
    peer.progressAtMs = nowMs;
    const { height, firstNode } = request;
    const count = Math.min(request.count, maxNodesPerMessage);
    const digests = this.delivery.tree.nodes(height, firstNode, count);
    if (digests.length > 0) this.tell(peer, { kind: 'nodes', height, firstNode, digests });
  }

  /** Who heard a probe has said so; that word may be lost, so the others are asked. */
  private sendProbe(nowMs: TimeMs, probe: GroupProbe): void {
    const { transmit, isLast } = probe.take(nowMs);
    this.controls.push(transmit);
    if (!isLast || this.isContentOpen) return;
    let atMs = nowMs + callTiming.probeWaitMs / 2;
    for (const peer of this.peers) {
      if (peer.status !== 'active' || peer.hearsGroup || peer.isPollDue) continue;
      peer.isPollDue = true;
      this.callAt(peer, atMs);
      atMs += this.spacingMs;
    }
  }

  // --- The whole

  private advance(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    if (this.unsettledCount === 0) {
      this.phase = 'done';
      this.delivery.end();
      this.events.push({ type: 'done', result: this.result(nowMs) });
      return;
    }
    if (!this.isContentOpen && this.mayOpenContent(nowMs)) {
      this.isContentOpen = true;
      this.delivery.openContent();
    }
    if (this.phase === 'open' && this.isContentOpen && this.delivery.isRead) {
      this.phase = 'checking';
      this.events.push({ type: 'check-source' });
    }
  }

  /** The first that are ready wait a moment for the others: what all lack is sent once to all. */
  private mayOpenContent(nowMs: TimeMs): boolean {
    const groupAnswersUntilMs = this.probe?.answersUntilMs ?? -Infinity;
    const isGroupSettled = nowMs >= groupAnswersUntilMs;
    let isAnyReady = false;
    let isAnyAwaited = false;
    let isAnyNarrow = false;
    for (const peer of this.peers) {
      if (peer.isSettled) continue;
      const { isReady } = peer;
      if (isReady) isAnyReady = true;
      if (!isReady || !(peer.hearsGroup || isGroupSettled)) isAnyAwaited = true;
      if (peer.opening?.isBeingProbed) isAnyNarrow = true;
    }
    if (!isAnyReady) return false;
    this.readyAtMs ??= nowMs;
    const narrowMs = isAnyNarrow ? callTiming.narrowGraceMs : 0;
    const graceMs = callTiming.graceMs + narrowMs + callTiming.graceReports * this.reportIntervalMs;
    const graceEndsAtMs = this.readyAtMs + graceMs;
    if (!isAnyAwaited || nowMs >= graceEndsAtMs) return true;
    const groupEndsAtMs = isGroupSettled ? Infinity : groupAnswersUntilMs;
    this.checkAtMs = Math.min(this.checkAtMs, graceEndsAtMs, groupEndsAtMs);
    return false;
  }

  /** A last word, and its outcome. */
  private dismiss(
    nowMs: TimeMs,
    peer: SessionPeer,
    status: 'aborted' | 'failed',
    reason: string,
  ): void {
    for (let i = 0; i < abortCopies; i++) this.tell(peer, { kind: 'bye', reason });
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

  private send(peer: SessionPeer, bytes: Uint8Array | undefined): void {
    if (bytes !== undefined) this.controls.push({ to: peer.address, bytes });
  }

  private tell(peer: SessionPeer, message: Message): void {
    if (peer.channel === undefined || peer.channel.isSpent) return;
    const encoded = encodeMessage(message);
    assert(encoded.length <= maxControlSizeBytes, 'a message fits one datagram');
    this.send(peer, peer.channel.seal(encoded));
  }

  /** What is known of one receiver now. */
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

/** Report intervals that patience lasts for at least. */
const patienceReports = 8;

/** Of the sender's last word; nobody confirms it. */
const abortCopies = 3;

/** With many receivers, timers are looked at this much later for each of them. */
const checkGrainMs = 0.01;

/** A receiver that answers but comes no further has this many patiences. */
const stuckTimes = 4;

const rttLimits = {
  initialMs: 100,
  granularityMs: 1,
  minMs: 5,
  maxMs: 5000,
  maxBackoffMs: 5000,
} as const;

function invalid(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}

function narrowPath(name: string, mssBytes: number): string {
  const sizeBytes = mssBytes + dataFramingBytes;
  return `the path to ${name} swallows datagrams of ${sizeBytes} bytes; send again, with --mss auto or a smaller one`;
}

function otherVersion(version: number): string {
  return `speaks version ${version} of the protocol; bring both sides to the same release`;
}
