/**
 * How the sender calls its receivers: opens a channel to each, offers the object, asks who owes a report, and
 * repeats what is not answered; what goes to whom, and when again (SESSIONS 3, 5.5).
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

export interface ConnectionsOptions {
  readonly session: number;
  readonly peers: readonly SessionPeer[];
  readonly crypto: SessionCrypto;
  readonly mssBytes: number;
  readonly giveUpAfterMs: number;
  readonly reportIntervalMs: number;
  /** What many receivers answer to is sent to one after another, this far apart. */
  readonly spacingMs: number;
  readonly pollsPerSec: number;
}

/** What calls ask of the session that they are a part of. */
export interface ConnectionsOwner {
  send(peer: SessionPeer, bytes: Uint8Array | undefined): void;
  sendMessage(peer: SessionPeer, message: Message): void;
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
  offerTo(peer: SessionPeer): Offer;
  pollOf(peer: SessionPeer): Message;
  /** Undefined while the receiver does not wait for it, or it is not known. */
  rootFor(peer: SessionPeer): Uint8Array | undefined;
  /** Its channel stands, but whether it is trusted is to be decided. */
  identify(nowMs: TimeMs, peer: SessionPeer): void;
  /** It has answered at another address than its first. */
  handleOtherAddress(peer: SessionPeer): void;
  /** It answers small hellos alone: its path may be narrow. */
  suspectNarrowPath(peer: SessionPeer): void;
  /** It has fallen silent: others do not wait for it any longer. */
  handleSilence(peer: SessionPeer): void;
  /** Without a word to the receiver, which would not hear it. */
  settleFailed(nowMs: TimeMs, peer: SessionPeer, reason: string): void;
  /** With the reason to the receiver, which hears it. */
  giveUp(nowMs: TimeMs, index: number, reason: string): void;
}

/** What runs where a receiver answers. */
const receiverProgram = 'p2mp receive';

/** With many receivers, timers are looked at this much later for each of them. */
const checkGrainMs = 0.01;

/** A receiver that answers but comes no further has this many patiences. */
const stuckTimes = 4;

/** Of the patience with a receiver, what passes before it is asked, and between two calls, at most. */
const quietShare = 1 / 3;
const waitShare = 1 / 6;

export class Connections {
  /** When some receiver is to be looked at. */
  private checkAtMs: TimeMs = 0;
  /** When the session last came nearer to its end, at whichever receiver. */
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
      peer.heardAtMs = nowMs;
      this.noteProgress(nowMs, peer);
      peer.retryWaitMs = retryTiming.firstMs;
      // Many receivers are called one after another: their answers are to be read as they come.
      peer.retryAtMs = nowMs + peer.index * spacingMs;
    }
    this.handleTimeout(nowMs);
  }

  /** It has come nearer to the end, or is at its own disk. */
  noteProgress(nowMs: TimeMs, peer: SessionPeer): void {
    peer.noteProgress(nowMs);
    this.progressAtMs = nowMs;
  }

  /** This process stood still: that is nobody's silence. */
  handleStop(stoppedMs: number): void {
    this.progressAtMs += stoppedMs;
    for (const peer of this.options.peers) {
      peer.heardAtMs += stoppedMs;
      peer.progressAtMs += stoppedMs;
      if (peer.unreachedSinceMs !== undefined) peer.unreachedSinceMs += stoppedMs;
      if (peer.deferral !== undefined) peer.deferral.sinceMs += stoppedMs;
    }
  }

  /** Looks at every receiver whose time has come. With many, not more often than is useful. */
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

  /** There is something to look at then. */
  lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }

  /** Sends what the receiver is to answer next, and sets when to send it again. */
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

  /** The receiver is called then, and not before. */
  scheduleAt(peer: SessionPeer, atMs: TimeMs): void {
    peer.retryWaitMs = retryTiming.firstMs;
    peer.retryAtMs = atMs;
    this.lookBy(atMs);
  }

  /** The same for each of these, one after another. */
  scheduleEachFrom(peers: Iterable<SessionPeer>, fromMs: TimeMs): void {
    let atMs = fromMs;
    for (const peer of peers) {
      this.scheduleAt(peer, atMs);
      atMs += this.options.spacingMs;
    }
  }

  /** @returns false where too many were asked just now */
  poll(nowMs: TimeMs, peer: SessionPeer): boolean {
    if (peer.unansweredPolls >= retryTiming.pollLimit) {
      this.dropOut(nowMs, peer);
      return true;
    }
    // One that would soon be given up on is asked in any case.
    const isUrgent = nowMs - peer.heardAtMs >= this.options.giveUpAfterMs / 2;
    if (!this.polls.take(nowMs) && !isUrgent) return false;
    peer.polledAtMs = nowMs;
    peer.unansweredPolls++;
    this.owner.sendMessage(peer, this.owner.pollOf(peer));
    return true;
  }

  /** What a receiver says before there is a channel. */
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
      peer.heardCount++;
      if (peer.addresses.noteAnswer(from)) this.owner.handleOtherAddress(peer);
    }
    if (outcome === 'advanced' && peer.requestSentAtMs !== undefined) {
      peer.model.takeHandshakeRtt(nowMs, nowMs - peer.requestSentAtMs);
    }
    if (outcome === 'other-version') {
      // Anybody on the way may have written that: it is told only if nothing better comes.
      this.owner.countFault('other-version', from, bytes);
      peer.otherVersion = packet.version;
    } else if (outcome === 'bad-handshake') {
      this.owner.countFault('bad-handshake', from, bytes);
      // A forged answer must not end it: it begins anew.
      peer.handshake = undefined;
    } else if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, peer, peer.handshake.smallAnswers);
    } else if (outcome === 'advanced') {
      // Whoever answers so has proven nothing: patience with it goes on running.
      if (peer.handshake.stage === 'trust') this.owner.identify(nowMs, peer);
      else this.sendRequest(nowMs, peer);
    }
  }

  /**
   * A receiver's port refuses what is sent there. One may be started yet, and anybody on the way can make that up, so
   * patience is as long as ever.
   * @returns what to report; nothing while it is known, or expected of a receiver that is about to end
   */
  noteRefusal(peer: SessionPeer, at: Address, code: RefusalCode): PortRefusedEvent | undefined {
    const reason = peer.addresses.noteRefusal(at, code, receiverProgram);
    if (reason === undefined || peer.deferral !== undefined) return undefined;
    const { giveUpAfterMs: livenessTimeoutMs } = this.options;
    return { type: 'port-refused', receiver: peer.name, reason, livenessTimeoutMs };
  }

  /** Little patience leaves time for a few calls all the same. */
  private get maxWaitMs(): number {
    return Math.min(retryTiming.maxMs, this.options.giveUpAfterMs * waitShare);
  }

  private handleDue(nowMs: TimeMs, peer: SessionPeer): void {
    const { giveUpAfterMs } = this.options;
    const waitsSinceMs = Math.min(peer.heardAtMs, peer.deferral?.sinceMs ?? Infinity);
    if (peer.status !== 'identifying' && nowMs - waitsSinceMs >= giveUpAfterMs) {
      this.owner.settleFailed(nowMs, peer, this.silenceReason(peer));
      return;
    }
    const reason = peer.status === 'active' ? this.stuckReason(nowMs, peer) : undefined;
    if (reason === undefined) this.sendRequest(nowMs, peer, 'again');
    else this.owner.giveUp(nowMs, peer.index, reason);
  }

  /** Why a receiver that answers fails all the same; undefined while it need not. */
  private stuckReason(nowMs: TimeMs, peer: SessionPeer): string | undefined {
    const { giveUpAfterMs } = this.options;
    if (peer.unreachedMs >= giveUpAfterMs) return this.unreachedReason(peer);
    const limitMs = stuckTimes * giveUpAfterMs;
    // One that was given nothing to do cannot make progress: it waits for the others.
    if (nowMs - peer.progressAtMs >= limitMs / 2 && !this.isAsked(peer)) {
      const isBlocked = this.options.peers.some(
        (other) => other !== peer && this.isBlocking(other),
      );
      peer.progressAtMs = Math.max(peer.progressAtMs, isBlocked ? nowMs : this.progressAtMs);
    }
    if (nowMs - peer.progressAtMs < limitMs) return undefined;
    return `answers, but has made no progress for ${limitMs / 1000} s`;
  }

  /** Whether others may have to wait for it. */
  private isBlocking(peer: SessionPeer): boolean {
    return peer.status === 'active' && this.isAsked(peer);
  }

  /** Whether it has something to do: to take what it lacks, or to verify. */
  private isAsked(peer: SessionPeer): boolean {
    return peer.state === 'whole' ? this.owner.rootFor(peer) !== undefined : peer.hasBeenServed;
  }

  private sendHandshake(nowMs: TimeMs, peer: SessionPeer, which: 'first' | 'again'): void {
    // One that answered once and then no more may have been started anew.
    if (peer.handshake?.stage === 'open' && which === 'again') {
      peer.offers++;
      if (peer.offers > offerLimit(peer)) peer.handshake = undefined;
    }
    peer.requestSentAtMs = which === 'first' || peer.handshake === undefined ? nowMs : undefined;
    peer.handshake ??= this.beginHandshake(peer);
    peer.addresses.noteAttempt();
    for (const bytes of peer.handshake.nextDatagrams()) this.owner.send(peer, bytes);
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
      // It may have been started anew, or somebody spoilt the handshake: from the beginning.
      peer.status = 'connecting';
      peer.handshake = undefined;
      this.sendRequest(nowMs, peer);
      return;
    }
    // More copies each time, as with an open: the receiver may be flooded.
    const copies = Math.min(2 ** (peer.offers - 1), maxOpenCopies);
    for (let i = 0; i < copies; i++) {
      this.owner.send(peer, peer.handshake?.datagram);
      this.owner.sendMessage(peer, this.owner.offerTo(peer));
    }
  }

  private sendPollOrRoot(nowMs: TimeMs, peer: SessionPeer): void {
    const { giveUpAfterMs, reportIntervalMs } = this.options;
    const askAfterMs = Math.min(retryTiming.quietMs, giveUpAfterMs * quietShare);
    const quietMs = Math.max(askAfterMs, 2 * reportIntervalMs);
    const isQuiet = nowMs - peer.heardAtMs >= quietMs;
    if (peer.isPollDue || isQuiet) {
      peer.isPollDue = !this.poll(nowMs, peer);
      // Asked too often in vain, it is called as in the beginning.
      if (peer.status !== 'active') return;
    }
    const digest = this.owner.rootFor(peer);
    if (digest !== undefined) this.owner.sendMessage(peer, { kind: 'root', digest });
  }

  /** What takes the receiver's place is called as in the beginning, while patience with a silent one lasts. */
  defer(nowMs: TimeMs, peer: SessionPeer, reason: string): void {
    peer.deferral ??= { sinceMs: nowMs, reason };
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.channel = undefined;
    peer.retryWaitMs = retryTiming.maxMs;
    peer.retryAtMs = nowMs + peer.retryWaitMs;
    this.lookBy(peer.retryAtMs);
  }

  /** It is called as in the beginning, should it come back. */
  private dropOut(nowMs: TimeMs, peer: SessionPeer): void {
    peer.isResponsive = false;
    peer.status = 'connecting';
    peer.handshake = undefined;
    peer.unansweredPolls = 0;
    peer.isMulticastReachable = false;
    this.owner.handleSilence(peer);
    this.sendRequest(nowMs, peer);
  }

  /** It is there; whether the path is narrow is found out soon, before content flows to others. */
  private handleSmallAnswer(nowMs: TimeMs, peer: SessionPeer, smallAnswers: number): void {
    this.scheduleAt(peer, nowMs + retryTiming.firstMs);
    if (smallAnswers === narrowPathAnswers.suspected) {
      this.owner.suspectNarrowPath(peer);
    } else if (smallAnswers === narrowPathAnswers.certain) {
      this.owner.giveUp(nowMs, peer.index, this.narrowPathReason(peer));
    }
  }

  private silenceReason(peer: SessionPeer): string {
    const seconds = this.options.giveUpAfterMs / 1000;
    const refusal = peer.addresses.describeRefusal(receiverProgram);
    if (peer.deferral !== undefined) {
      return refusal === undefined
        ? peer.deferral.reason
        : `${peer.deferral.reason}; now ${refusal}`;
    }
    if (peer.otherVersion !== undefined) {
      return `speaks version ${peer.otherVersion} of the protocol; bring both sides to the same release`;
    }
    const smallAnswers = peer.handshake?.smallAnswers ?? 0;
    if (smallAnswers >= narrowPathAnswers.suspected) return this.narrowPathReason(peer);
    if (refusal !== undefined) {
      return peer.isHeard ? `fell silent for ${seconds} s; now ${refusal}` : refusal;
    }
    if (peer.isHeard) return `fell silent for ${seconds} s; send again once it is back`;
    const { port } = peer.address;
    return `no answer${peer.addresses.describe()} for ${seconds} s; is ${receiverProgram} running there, and does a firewall let UDP port ${port} through?`;
  }

  /** Its hello had the size of data and arrived (SESSIONS 3.11): size alone need not be the cause. */
  private unreachedReason({ name }: SessionPeer): string {
    const { mssBytes, giveUpAfterMs } = this.options;
    const sizeBytes = mssBytes + dataFramingBytes;
    return `no data has reached ${name} for ${giveUpAfterMs / 1000} s, while control messages have: a filter drops data, or the path became too narrow for ${sizeBytes} bytes; check firewalls and --mss, then send again`;
  }

  private narrowPathReason({ name }: SessionPeer): string {
    const sizeBytes = this.options.mssBytes + dataFramingBytes;
    return `the path to ${name} swallows datagrams of ${sizeBytes} bytes, while small ones arrive; send again, with --mss auto or a smaller one`;
  }
}

/** Soon at first, since an answer may have been spoilt; a long way takes its time. */
function offerLimit({ handshakes }: SessionPeer): number {
  const { firstOfferLimit, offerLimit } = retryTiming;
  return Math.min(offerLimit, firstOfferLimit * handshakes);
}
