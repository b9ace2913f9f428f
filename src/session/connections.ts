/**
 * The sender's connections to its receivers. This class opens a channel to each receiver, offers the object, polls for
 * overdue reports, and repeats every request until the receiver answers (SESSIONS 3, 5.5).
 */
import type { Address } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { PortRefusedEvent, RefusalCode } from '../base/refusal.js';
import { PollBudget } from '../path/poll-budget.js';
import type { SessionCrypto } from '../security/crypto.js';
import { maxOpenCopies, narrowPathAnswers, OutgoingHandshake } from '../security/handshake.js';
import { retryTiming } from '../transfer/config.js';
import type { SessionPeer } from '../transfer/peer.js';
import type { FaultKind } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import type { Message, Offer } from '../wire/messages.js';
import { dataFramingBytes } from '../wire/segment-size.js';
import type { ControlOutbox } from './control-outbox.js';
import type { RootDigest } from './root-digest.js';

export interface ConnectionsOptions {
  readonly session: number;
  readonly peers: readonly SessionPeer[];
  readonly outbox: ControlOutbox;
  readonly rootDigest: RootDigest;
  readonly crypto: SessionCrypto;
  readonly mssBytes: number;
  readonly livenessTimeoutMs: number;
  readonly reportIntervalMs: number;
  /** The time between requests to different receivers, which spreads their answers. */
  readonly spacingMs: number;
  readonly pollsPerSec: number;
}

/** What the connections need from their session. */
export interface ConnectionsOwner {
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
  offerTo(peer: SessionPeer): Offer;
  pollOf(peer: SessionPeer): Message;
  /** The receiver has shown its key; the session must decide whether to trust it. */
  identify(nowMs: TimeMs, peer: SessionPeer): void;
  /** The receiver has answered at an address other than its first one. */
  handleOtherAddress(peer: SessionPeer): void;
  /** The receiver answers only small hellos, so the path MTU may be exceeded. */
  suspectNarrowPath(peer: SessionPeer): void;
  /** The receiver has fallen silent, and the others need not wait for it. */
  handleSilence(peer: SessionPeer): void;
  /** Fails the receiver without notifying it, because it is unreachable. */
  settleFailed(nowMs: TimeMs, peer: SessionPeer, reason: string): void;
  /** Fails the receiver and sends it the reason. */
  failReceiver(nowMs: TimeMs, peer: SessionPeer, reason: string): void;
}

/** The program that should be running at a receiver. */
const receiverProgram = 'p2mp receive';

/** The least time between two checks of the timers, for each receiver. With many receivers, checks are rarer. */
const checkGrainMs = 0.01;

/** A receiver that answers but makes no progress fails after this many liveness timeouts. */
const stuckTimes = 4;

/** Upper bounds of the quiet time before a poll and of the retry interval, as shares of the liveness timeout. */
const quietShare = 1 / 3;
const waitShare = 1 / 6;

export class Connections {
  /** When the next receiver needs attention. */
  private checkAtMs: TimeMs = 0;
  /** When any receiver last made progress. */
  private progressAtMs: TimeMs = 0;
  private readonly polls: PollBudget;

  constructor(
    private readonly options: ConnectionsOptions,
    private readonly owner: ConnectionsOwner,
  ) {
    this.polls = new PollBudget(options.pollsPerSec);
  }

  get dueAtMs(): TimeMs {
    return this.checkAtMs;
  }

  start(nowMs: TimeMs): void {
    const { peers, spacingMs } = this.options;
    for (const peer of peers) {
      peer.lastReceivedAtMs = nowMs;
      this.noteProgress(nowMs, peer);
      peer.retryWaitMs = retryTiming.firstMs;
      // Spreads the requests so that the answers can be read as they arrive.
      peer.retryAtMs = nowMs + peer.index * spacingMs;
    }
    this.handleTimeout(nowMs);
  }

  /** The receiver has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs, peer: SessionPeer): void {
    peer.noteProgress(nowMs);
    this.progressAtMs = nowMs;
  }

  /** This process was suspended for a time, which does not count as silence of the receivers. */
  handleStop(stoppedMs: number): void {
    this.progressAtMs += stoppedMs;
    for (const peer of this.options.peers) {
      peer.lastReceivedAtMs += stoppedMs;
      peer.progressAtMs += stoppedMs;
      if (peer.unreachedSinceMs !== undefined) peer.unreachedSinceMs += stoppedMs;
      if (peer.deferral !== undefined) peer.deferral.sinceMs += stoppedMs;
    }
  }

  /** Handles every receiver whose timer has expired. */
  handleTimeout(nowMs: TimeMs): void {
    const { peers } = this.options;
    this.checkAtMs = Infinity;
    for (const peer of peers) {
      if (peer.isSettled) continue;
      if (peer.retryAtMs <= nowMs) this.handleDue(nowMs, peer);
      if (!peer.isSettled) this.lookBy(peer.retryAtMs);
    }
    this.checkAtMs = Math.max(this.checkAtMs, nowMs + peers.length * checkGrainMs);
  }

  /** Checks the timers no later than at this time. */
  lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }

  /** Sends the request that the receiver must answer next, and schedules its repetition. */
  sendRequest(nowMs: TimeMs, peer: SessionPeer, which: 'first' | 'again' = 'first'): void {
    const { firstMs, growth } = retryTiming;
    const waitMs = which === 'first' ? firstMs : peer.retryWaitMs * growth;
    peer.retryWaitMs = Math.min(waitMs, this.maxWaitMs);
    peer.retryAtMs = nowMs + peer.retryWaitMs;
    this.lookBy(peer.retryAtMs);
    switch (peer.status) {
      case 'connecting':
        this.sendHandshake(nowMs, peer, which);
        break;
      case 'offered':
        this.sendOffer(nowMs, peer, which);
        break;
      case 'active':
        this.sendPollOrRoot(nowMs, peer);
        break;
      default:
        break;
    }
  }

  /** Schedules the next request to the receiver for this time. It is not sent earlier. */
  scheduleAt(peer: SessionPeer, atMs: TimeMs): void {
    peer.retryWaitMs = retryTiming.firstMs;
    peer.retryAtMs = atMs;
    this.lookBy(atMs);
  }

  /** Schedules requests to these receivers one after another. */
  scheduleEachFrom(peers: Iterable<SessionPeer>, fromMs: TimeMs): void {
    let atMs = fromMs;
    for (const peer of peers) {
      this.scheduleAt(peer, atMs);
      atMs += this.options.spacingMs;
    }
  }

  /** @returns false if the poll budget is exhausted */
  poll(nowMs: TimeMs, peer: SessionPeer): boolean {
    if (peer.unansweredPolls >= retryTiming.pollLimit) {
      this.dropOut(nowMs, peer);
      return true;
    }
    // A receiver that is about to fail is polled regardless of the budget.
    const isUrgent = nowMs - peer.lastReceivedAtMs >= this.options.livenessTimeoutMs / 2;
    if (!this.polls.take(nowMs) && !isUrgent) return false;
    peer.polledAtMs = nowMs;
    peer.unansweredPolls++;
    this.options.outbox.sendMessage(peer, this.owner.pollOf(peer));
    return true;
  }

  /** Handles a handshake packet from a receiver. */
  handleHandshake(
    nowMs: TimeMs,
    peer: SessionPeer,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    if (peer.status !== 'connecting' || peer.handshake === undefined) return;
    const outcome = peer.handshake.handle(packet);
    const isAnswer = outcome === 'advanced' || outcome === 'small-only';
    if (isAnswer) {
      peer.answerCount++;
      if (peer.addresses.noteAnswer(from)) this.owner.handleOtherAddress(peer);
    }
    if (outcome === 'advanced' && peer.requestSentAtMs !== undefined) {
      peer.model.takeHandshakeRtt(nowMs, nowMs - peer.requestSentAtMs);
    }
    if (outcome === 'other-version') {
      // The packet is not authenticated, so the version is reported only if no handshake succeeds.
      this.owner.countFault('other-version', from, bytes);
      peer.otherVersion = packet.version;
    } else if (outcome === 'bad-handshake') {
      this.owner.countFault('bad-handshake', from, bytes);
      // The answer may be forged and must not end the connection, so the handshake starts over.
      peer.handshake = undefined;
    } else if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, peer, peer.handshake.smallAnswers);
    } else if (outcome === 'advanced') {
      // The answer proves no identity, so the liveness timeout keeps running.
      if (peer.handshake.stage === 'trust') this.owner.identify(nowMs, peer);
      else this.sendRequest(nowMs, peer);
    }
  }

  /**
   * A receiver's port refuses datagrams. The receiver may still be started, and anyone on the path can forge ICMP, so
   * the liveness timeout is not shortened.
   * @returns the event to report; undefined if the refusal was reported before or the receiver announced a restart
   */
  noteRefusal(peer: SessionPeer, at: Address, code: RefusalCode): PortRefusedEvent | undefined {
    const reason = peer.addresses.noteRefusal(at, code, receiverProgram);
    if (reason === undefined || peer.deferral !== undefined) return undefined;
    const { livenessTimeoutMs } = this.options;
    return { type: 'port-refused', receiver: peer.name, reason, livenessTimeoutMs };
  }

  /** The longest retry interval. It is short enough that even a short liveness timeout allows a few attempts. */
  private get maxWaitMs(): number {
    return Math.min(retryTiming.maxMs, this.options.livenessTimeoutMs * waitShare);
  }

  private handleDue(nowMs: TimeMs, peer: SessionPeer): void {
    const { livenessTimeoutMs } = this.options;
    const waitsSinceMs = Math.min(peer.lastReceivedAtMs, peer.deferral?.sinceMs ?? Infinity);
    if (peer.status !== 'identifying' && nowMs - waitsSinceMs >= livenessTimeoutMs) {
      this.owner.settleFailed(nowMs, peer, this.silenceReason(peer));
      return;
    }
    const reason = peer.status === 'active' ? this.stuckReason(nowMs, peer) : undefined;
    if (reason === undefined) this.sendRequest(nowMs, peer, 'again');
    else this.owner.failReceiver(nowMs, peer, reason);
  }

  /** Why a receiver must fail although it still answers; undefined while it need not fail. */
  private stuckReason(nowMs: TimeMs, peer: SessionPeer): string | undefined {
    const { livenessTimeoutMs } = this.options;
    if (peer.unreachedMs >= livenessTimeoutMs) return this.unreachedReason(peer);
    const limitMs = stuckTimes * livenessTimeoutMs;
    // A receiver with nothing to do waits for the others and cannot make progress.
    if (nowMs - peer.progressAtMs >= limitMs / 2 && !this.isAsked(peer)) {
      const isBlocked = this.options.peers.some(
        (other) => other !== peer && this.isBlocking(other),
      );
      peer.progressAtMs = Math.max(peer.progressAtMs, isBlocked ? nowMs : this.progressAtMs);
    }
    if (nowMs - peer.progressAtMs < limitMs) return undefined;
    return `answers, but has made no progress for ${limitMs / 1000} s`;
  }

  /** Whether others may be waiting for this receiver. */
  private isBlocking(peer: SessionPeer): boolean {
    return peer.status === 'active' && this.isAsked(peer);
  }

  /** Whether the receiver has work to do: data to receive, or a digest to verify. */
  private isAsked(peer: SessionPeer): boolean {
    return peer.state === 'whole'
      ? this.options.rootDigest.dueTo(peer) !== undefined
      : peer.hasBeenServed;
  }

  private sendHandshake(nowMs: TimeMs, peer: SessionPeer, which: 'first' | 'again'): void {
    // A receiver that sent a cookie and then fell silent may have been restarted.
    if (peer.handshake?.stage === 'open' && which === 'again') {
      peer.offers++;
      if (peer.offers > offerLimit(peer)) peer.handshake = undefined;
    }
    peer.requestSentAtMs = which === 'first' || peer.handshake === undefined ? nowMs : undefined;
    peer.handshake ??= this.beginHandshake(peer);
    peer.addresses.noteAttempt();
    for (const bytes of peer.handshake.nextDatagrams()) this.options.outbox.send(peer, bytes);
  }

  private beginHandshake(peer: SessionPeer): OutgoingHandshake {
    const { crypto, session, mssBytes } = this.options;
    peer.offers = 0;
    peer.handshakes++;
    return new OutgoingHandshake(crypto, session, peer.index, mssBytes + dataFramingBytes);
  }

  private sendOffer(nowMs: TimeMs, peer: SessionPeer, which: 'first' | 'again'): void {
    peer.offers = which === 'first' ? 1 : peer.offers + 1;
    if (peer.offers > offerLimit(peer)) {
      // The receiver may have been restarted, or the handshake was corrupted: start over.
      peer.status = 'connecting';
      peer.handshake = undefined;
      this.sendRequest(nowMs, peer);
      return;
    }
    // Sends more copies each time, because the receiver may be flooded.
    const copies = Math.min(2 ** (peer.offers - 1), maxOpenCopies);
    const { outbox } = this.options;
    for (let i = 0; i < copies; i++) {
      const confirmation = peer.handshake?.datagram;
      if (confirmation !== undefined) outbox.send(peer, confirmation);
      outbox.sendMessage(peer, this.owner.offerTo(peer));
    }
  }

  private sendPollOrRoot(nowMs: TimeMs, peer: SessionPeer): void {
    const { livenessTimeoutMs, reportIntervalMs } = this.options;
    const askAfterMs = Math.min(retryTiming.quietMs, livenessTimeoutMs * quietShare);
    const quietMs = Math.max(askAfterMs, 2 * reportIntervalMs);
    const isQuiet = nowMs - peer.lastReceivedAtMs >= quietMs;
    if (peer.isPollDue || isQuiet) {
      peer.isPollDue = !this.poll(nowMs, peer);
      // After too many unanswered polls, the connection to the receiver has started over.
      if (peer.status !== 'active') return;
    }
    const digest = this.options.rootDigest.dueTo(peer);
    if (digest !== undefined) this.options.outbox.sendMessage(peer, { kind: 'root', digest });
  }

  /** The receiver is about to restart. Connects from the beginning until the liveness timeout expires. */
  defer(nowMs: TimeMs, peer: SessionPeer, reason: string): void {
    peer.deferral ??= { sinceMs: nowMs, reason };
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.channel = undefined;
    peer.retryWaitMs = retryTiming.maxMs;
    peer.retryAtMs = nowMs + peer.retryWaitMs;
    this.lookBy(peer.retryAtMs);
  }

  /** The receiver is silent. Connects from the beginning, in case the receiver comes back. */
  private dropOut(nowMs: TimeMs, peer: SessionPeer): void {
    peer.isResponsive = false;
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.unansweredPolls = 0;
    peer.isMulticastReachable = false;
    this.owner.handleSilence(peer);
    this.sendRequest(nowMs, peer);
  }

  /** The receiver is there, so hellos are repeated quickly to find out whether the path MTU is exceeded. */
  private handleSmallAnswer(nowMs: TimeMs, peer: SessionPeer, smallAnswers: number): void {
    this.scheduleAt(peer, nowMs + retryTiming.firstMs);
    if (smallAnswers === narrowPathAnswers.suspected) {
      this.owner.suspectNarrowPath(peer);
    } else if (smallAnswers === narrowPathAnswers.certain) {
      this.owner.failReceiver(nowMs, peer, this.narrowPathReason(peer));
    }
  }

  private silenceReason(peer: SessionPeer): string {
    const seconds = this.options.livenessTimeoutMs / 1000;
    const refusal = peer.addresses.describeRefusal(receiverProgram);
    if (peer.deferral !== undefined) {
      return refusal === undefined
        ? peer.deferral.reason
        : `${peer.deferral.reason}; now ${refusal}`;
    }
    if (peer.otherVersion !== undefined) {
      return `uses protocol version ${peer.otherVersion}; install the same release on both sides`;
    }
    const smallAnswers = peer.handshake?.smallAnswers ?? 0;
    if (smallAnswers >= narrowPathAnswers.suspected) return this.narrowPathReason(peer);
    if (refusal !== undefined) {
      return peer.hasAnswered ? `has not responded for ${seconds} s; now ${refusal}` : refusal;
    }
    if (peer.hasAnswered) return `has not responded for ${seconds} s; send again once it is back`;
    const { port } = peer.address;
    return `no answer${peer.addresses.describe()} for ${seconds} s; is ${receiverProgram} running there, and does a firewall let UDP port ${port} through?`;
  }

  /** A full-size hello did arrive earlier (SESSIONS 3.11), so the size of data datagrams need not be the cause. */
  private unreachedReason({ name }: SessionPeer): string {
    const { mssBytes, livenessTimeoutMs } = this.options;
    const sizeBytes = mssBytes + dataFramingBytes;
    return `no data has reached ${name} for ${livenessTimeoutMs / 1000} s, although control messages have: a filter drops data, or the path MTU fell below ${sizeBytes} bytes; check firewalls and --mss, then send again`;
  }

  private narrowPathReason({ name }: SessionPeer): string {
    const sizeBytes = this.options.mssBytes + dataFramingBytes;
    return `the path to ${name} silently drops datagrams of ${sizeBytes} bytes, although small ones arrive; send again with --mss auto or a smaller MSS`;
  }
}

/** A handshake restarts early at first, because an answer may be corrupt. Later limits leave time for long paths. */
function offerLimit({ handshakes }: SessionPeer): number {
  const { firstOfferLimit, offerLimit } = retryTiming;
  return Math.min(offerLimit, firstOfferLimit * handshakes);
}
