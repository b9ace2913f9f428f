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
  /** Time between requests to different receivers. The spacing spreads their answers over time. */
  readonly spacingMs: number;
  readonly pollsPerSec: number;
}

/** Functions that the session provides to its `Connections`. */
export interface ConnectionsOwner {
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
  offerTo(peer: SessionPeer): Offer;
  pollOf(peer: SessionPeer): Message;
  /** Called when the receiver has shown its key. The session must decide whether to trust that key. */
  identify(nowMs: TimeMs, peer: SessionPeer): void;
  /** Called if the receiver's first answer comes from a candidate address other than the first one. */
  handleOtherAddress(peer: SessionPeer): void;
  /** Called when the receiver answers only small hellos. Full-size hellos might exceed the path MTU. */
  suspectNarrowPath(peer: SessionPeer): void;
  /** Called when the receiver has fallen silent. The other receivers need not wait for it. */
  handleSilence(peer: SessionPeer): void;
  /** Fails an unreachable receiver without notifying it. */
  settleFailed(nowMs: TimeMs, peer: SessionPeer, reason: string): void;
  /** Fails the receiver and sends it the reason. */
  failReceiver(nowMs: TimeMs, peer: SessionPeer, reason: string): void;
}

/** Command that should be running on a receiver's host, as named in messages. */
const receiverProgram = 'p2mp receive';

/** Minimum interval between two checks of all timers, divided by the number of receivers. */
const checkGrainMs = 0.01;

/** A receiver that answers but makes no progress fails after this many liveness timeouts. */
const stuckTimes = 4;

/**
 * Maximum silence before a poll, as a fraction of the liveness timeout. If two report intervals are longer,
 * the poll waits for two report intervals.
 */
const quietShare = 1 / 3;
/** Maximum retry interval, as a fraction of the liveness timeout. */
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
      // Spreads the requests over time, so that the sender can keep up with the answers.
      peer.retryAtMs = nowMs + peer.index * spacingMs;
    }
    this.handleTimeout(nowMs);
  }

  /** Records that the receiver has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs, peer: SessionPeer): void {
    peer.noteProgress(nowMs);
    this.progressAtMs = nowMs;
  }

  /** Records that this process was suspended. The suspension does not count as silence of the receivers. */
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

  /** Makes sure that the timers are checked at this time or earlier. */
  lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }

  /** Sends the request that fits the receiver's status, and schedules its retransmission. */
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

  /** Sets the time of the next request to the receiver, whatever was scheduled before. */
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
      // The packet is not authenticated, so its version causes a failure only if no handshake succeeds.
      this.owner.countFault('other-version', from, bytes);
      peer.otherVersion = packet.version;
    } else if (outcome === 'bad-handshake') {
      this.owner.countFault('bad-handshake', from, bytes);
      // The answer might be forged, so it only restarts the handshake and does not fail the receiver.
      peer.handshake = undefined;
    } else if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, peer, peer.handshake.smallAnswers);
    } else if (outcome === 'advanced') {
      // The answer does not prove the receiver's identity, so the liveness timeout keeps running.
      if (peer.handshake.stage === 'trust') this.owner.identify(nowMs, peer);
      else this.sendRequest(nowMs, peer);
    }
  }

  /**
   * Records an ICMP error: a receiver's port refuses datagrams. The liveness timeout is not shortened,
   * because the receiver might start later and because anyone on the path can forge ICMP.
   * @returns the event to report; undefined if another address might still answer, if the refusal was
   * reported before, or if the receiver announced a restart
   */
  noteRefusal(peer: SessionPeer, at: Address, code: RefusalCode): PortRefusedEvent | undefined {
    const reason = peer.addresses.noteRefusal(at, code, receiverProgram);
    if (reason === undefined || peer.deferral !== undefined) return undefined;
    const { livenessTimeoutMs } = this.options;
    return { type: 'port-refused', receiver: peer.name, reason, livenessTimeoutMs };
  }

  /** Maximum retry interval, limited so that even a short liveness timeout leaves time for a few attempts. */
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

  /** Reason to fail a receiver that still answers; undefined if there is none. */
  private stuckReason(nowMs: TimeMs, peer: SessionPeer): string | undefined {
    const { livenessTimeoutMs } = this.options;
    if (peer.unreachedMs >= livenessTimeoutMs) return this.unreachedReason(peer);
    const limitMs = stuckTimes * livenessTimeoutMs;
    // A receiver with nothing to do is waiting for other receivers and cannot make progress.
    if (nowMs - peer.progressAtMs >= limitMs / 2 && !this.isAsked(peer)) {
      const isBlocked = this.options.peers.some(
        (other) => other !== peer && this.isBlocking(other),
      );
      peer.progressAtMs = Math.max(peer.progressAtMs, isBlocked ? nowMs : this.progressAtMs);
    }
    if (nowMs - peer.progressAtMs < limitMs) return undefined;
    return `answers, but has made no progress for ${limitMs / 1000} s`;
  }

  /** Whether other receivers might be waiting for this one. */
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
    // A receiver that sent a cookie and then fell silent might have restarted.
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
      // Start over: the receiver might have restarted, or the handshake was corrupted.
      peer.status = 'connecting';
      peer.handshake = undefined;
      this.sendRequest(nowMs, peer);
      return;
    }
    // Sends more copies with each repetition, because a flooded receiver answers only some of them.
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
      // After too many unanswered polls, `poll` starts a new handshake.
      if (peer.status !== 'active') return;
    }
    const digest = this.options.rootDigest.dueTo(peer);
    if (digest !== undefined) this.options.outbox.sendMessage(peer, { kind: 'root', digest });
  }

  /**
   * Handles a receiver that is about to restart: retries the handshake until the liveness timeout expires.
   */
  defer(nowMs: TimeMs, peer: SessionPeer, reason: string): void {
    peer.deferral ??= { sinceMs: nowMs, reason };
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.channel = undefined;
    peer.retryWaitMs = retryTiming.maxMs;
    peer.retryAtMs = nowMs + peer.retryWaitMs;
    this.lookBy(peer.retryAtMs);
  }

  /** Handles a receiver that has fallen silent: retries the handshake in case the receiver comes back. */
  private dropOut(nowMs: TimeMs, peer: SessionPeer): void {
    peer.isResponsive = false;
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.unansweredPolls = 0;
    peer.isMulticastReachable = false;
    this.owner.handleSilence(peer);
    this.sendRequest(nowMs, peer);
  }

  /**
   * Handles the answer to a small hello. The receiver is reachable, so the sender soon repeats both sizes of
   * hello to find out whether the path MTU is too small for the full size.
   */
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

  /**
   * Names two possible causes. A smaller path MTU is not the only explanation, because a full-size hello
   * arrived earlier (SESSIONS 3.11).
   */
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

/**
 * Number of unanswered requests after which a handshake starts over. The limit is low at first, because an
 * answer might have been corrupted. The limit grows with each handshake to leave time for long paths.
 */
function offerLimit({ handshakes }: SessionPeer): number {
  const { firstOfferLimit, offerLimit } = retryTiming;
  return Math.min(offerLimit, firstOfferLimit * handshakes);
}
