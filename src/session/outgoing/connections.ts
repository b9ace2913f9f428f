/**
 * The sender's connections to its receivers. This class opens a channel to each receiver, offers the object, polls for
 * overdue reports, and repeats every request until the receiver answers (SESSIONS 3, 5.5). What it needs from the
 * session, it queues as actions.
 */
import type { Address, Arrival } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal, RefusedEvent } from '../../base/refusal.js';
import { answeredPath } from '../../path/first-paths.js';
import type { PathEnds } from '../../path/path.js';
import { PollBudget } from '../../path/poll-budget.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { maxOpenCopies, narrowPathAnswers, OutgoingHandshake } from '../../security/handshake.js';
import { retryTiming, sessionDefaults } from '../../transfer/config.js';
import type { Delivery } from '../../transfer/delivery.js';
import type { ReportInterval } from '../../transfer/report-interval.js';
import type { FaultKind } from '../../wire/faults.js';
import type { ChannelPacket } from '../../wire/header.js';
import type { Offer } from '../../wire/offer.js';
import type { ConnectionAction } from './connection-action.js';
import type { ContentRoot } from './content-root.js';
import type { ControlOutbox } from './control-outbox.js';
import type { HelloAnswer } from './held-answers.js';
import { HeldAnswers } from './held-answers.js';
import type { SessionMember } from './member.js';
import { MemberMessages } from './member-messages.js';
import {
  narrowPathReason,
  receiverProgram,
  silenceReason,
  unreachedReason,
} from './path-failures.js';
import type { Withdrawals } from './withdrawals.js';

export interface ConnectionsOptions {
  readonly session: number;
  readonly offer: Offer;
  readonly members: readonly SessionMember[];
  readonly outbox: ControlOutbox;
  readonly delivery: Delivery;
  readonly contentRoot: ContentRoot;
  readonly withdrawals: Withdrawals;
  readonly crypto: SessionCrypto;
  readonly livenessTimeoutMs: number;
  readonly reportInterval: ReportInterval;
  /** Time between requests to different receivers. The spacing spreads their answers over time. */
  readonly spacingMs: number;
  readonly pollsPerSec: number;
  /** The pairs of addresses by which a handshake with the receiver may go. */
  readonly firstPathsTo: (member: SessionMember) => readonly PathEnds[];
}

/** Minimum interval between two checks of all timers, divided by the number of receivers. */
const checkGrainMs = 0.01;

/** Retry delay when the poll budget is exhausted. */
const pollRetryMs = 10;

/** Minimum liveness timeout, in report intervals. */
const livenessTimeoutReports = 8;

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
  private readonly messages: MemberMessages;
  private readonly actions = new Queue<ConnectionAction>();
  private readonly held: HeldAnswers;

  constructor(private readonly options: ConnectionsOptions) {
    const { pollsPerSec, offer, delivery, reportInterval, withdrawals } = options;
    this.polls = new PollBudget(pollsPerSec);
    this.held = new HeldAnswers(options.firstPathsTo);
    this.messages = new MemberMessages(offer, delivery, reportInterval, withdrawals);
  }

  /** With many receivers, each one reports rarely. The time between its reports must not count as silence. */
  private get livenessTimeoutMs(): number {
    const { livenessTimeoutMs, reportInterval } = this.options;
    return Math.max(livenessTimeoutMs, livenessTimeoutReports * reportInterval.ms);
  }

  get dueAtMs(): TimeMs {
    return this.checkAtMs;
  }

  /** The next action, which the session must execute before its next input. */
  pollAction(): ConnectionAction | undefined {
    return this.actions.shift();
  }

  start(nowMs: TimeMs): void {
    const { members, spacingMs } = this.options;
    // Spreads the requests over time, so that the sender can keep up with the answers.
    for (const member of members) this.begin(nowMs, member, nowMs + member.index * spacingMs);
    this.handleTimeout(nowMs);
  }

  /** Begins to connect to a receiver that joins the running session. */
  join(nowMs: TimeMs, member: SessionMember): void {
    this.begin(nowMs, member, nowMs);
    this.announceInterval(nowMs);
    this.handleTimeout(nowMs);
  }

  private begin(nowMs: TimeMs, member: SessionMember, requestAtMs: TimeMs): void {
    member.liveness.restart(nowMs);
    this.noteProgress(nowMs, member);
    member.requests.scheduleAt(requestAtMs);
  }

  /** Announces a longer report interval to the receivers if many others have joined since the last announcement. */
  private announceInterval(nowMs: TimeMs): void {
    const { members, reportInterval } = this.options;
    const leastMs = sessionDefaults.turnShare * reportInterval.ms;
    const isOutdated = (member: SessionMember) => member.reportIntervalMs < leastMs;
    const told = members.filter((each) => each.status === 'active' && isOutdated(each));
    for (const { polls } of told) polls.setDue(true);
    this.scheduleEachFrom(told, nowMs);
  }

  /** Records that the receiver has made progress or is busy with its disk. */
  noteProgress(nowMs: TimeMs, { liveness, demand }: SessionMember): void {
    liveness.handleProgress(nowMs, demand.neededDatagramsSent);
    this.progressAtMs = nowMs;
  }

  /** Records that this process was suspended. The suspension does not count as silence of the receivers. */
  handleStop(stoppedMs: number): void {
    this.progressAtMs += stoppedMs;
    for (const member of this.options.members) member.handleStop(stoppedMs);
  }

  /** Handles every receiver whose timer has expired. */
  handleTimeout(nowMs: TimeMs): void {
    const { members } = this.options;
    for (const due of this.held.takeDue(nowMs)) this.takeHandshake(nowMs, due);
    this.checkAtMs = this.held.dueAtMs;
    for (const member of members) {
      if (member.isSettled) continue;
      if (member.polls.repeatAtMs <= nowMs) this.repeatPoll(nowMs, member);
      const hasFailed = member.requests.atMs <= nowMs && this.handleDue(nowMs, member);
      if (!hasFailed) this.lookBy(Math.min(member.requests.atMs, member.polls.repeatAtMs));
    }
    this.checkAtMs = Math.max(this.checkAtMs, nowMs + members.length * checkGrainMs);
  }

  /** Makes sure that the timers are checked at this time or earlier. */
  lookBy(atMs: TimeMs): void {
    this.checkAtMs = Math.min(this.checkAtMs, atMs);
  }

  /** Sends the request that fits the receiver's status, and schedules its retransmission. */
  sendRequest(nowMs: TimeMs, member: SessionMember, which: 'first' | 'again' = 'first'): void {
    member.requests.scheduleRepetition(nowMs, which, this.maxWaitMs);
    this.lookBy(member.requests.atMs);
    switch (member.status) {
      case 'connecting':
        this.sendHandshake(nowMs, member, which);
        break;
      case 'offered':
        this.sendOffer(nowMs, member, which);
        break;
      case 'active':
        this.sendPollOrRoot(nowMs, member);
        break;
      default:
        break;
    }
  }

  /** Sets the time of the next request to the receiver, whatever was scheduled before. */
  scheduleAt(member: SessionMember, atMs: TimeMs): void {
    member.requests.scheduleAt(atMs);
    this.lookBy(atMs);
  }

  /** Schedules requests to these receivers one after another. */
  scheduleEachFrom(members: Iterable<SessionMember>, fromMs: TimeMs): void {
    let atMs = fromMs;
    for (const member of members) {
      this.scheduleAt(member, atMs);
      atMs += this.options.spacingMs;
    }
  }

  /** @returns false if the poll budget is exhausted */
  poll(nowMs: TimeMs, member: SessionMember): boolean {
    const { polls, liveness } = member;
    if (polls.areExhausted) {
      this.dropOut(nowMs, member);
      return true;
    }
    // A receiver that is about to fail is polled regardless of the budget.
    const isUrgent = nowMs - liveness.lastReceivedAtMs >= this.livenessTimeoutMs / 2;
    if (!this.polls.take(nowMs) && !isUrgent) return false;
    polls.handleSent(nowMs);
    this.options.outbox.sendMessages(member, this.messages.pollOf(member));
    return true;
  }

  /**
   * Polls a receiver whose report is overdue, until the report arrives.
   * @param sentAtMs time at which the overdue round was sent
   */
  pollOverdue(nowMs: TimeMs, member: SessionMember, sentAtMs: TimeMs): void {
    const { polls, path } = member;
    if (member.status !== 'active') return;
    // A poll that was sent before the round does not count.
    const dueAtMs = polls.atMs < sentAtMs ? nowMs : polls.nextAtMs(path.rtt.timeoutMs);
    polls.repeatAt(dueAtMs);
    if (dueAtMs <= nowMs) this.repeatPoll(nowMs, member);
    this.lookBy(polls.repeatAtMs);
  }

  private repeatPoll(nowMs: TimeMs, member: SessionMember): void {
    const { polls, demand, path, liveness } = member;
    polls.repeatAt(Infinity);
    const isOverdue = this.options.delivery.isOverdue(demand, member.route.number);
    if (!isOverdue && demand.isServed) return;
    const isLate = nowMs - liveness.lastReceivedAtMs >= retryTiming.lateMs;
    if (isLate && polls.unansweredCount > 0) this.actions.push({ type: 'late', member });
    const isSent = this.poll(nowMs, member);
    // After too many unanswered polls, `poll` starts a new handshake.
    if (member.status !== 'active') return;
    polls.repeatAt(isSent ? polls.nextAtMs(path.rtt.timeoutMs) : nowMs + pollRetryMs);
  }

  /** Handles a handshake packet from a receiver. @returns the fault to count, if there is one */
  handleHandshake(
    nowMs: TimeMs,
    member: SessionMember,
    packet: ChannelPacket,
    from: Arrival,
  ): FaultKind | undefined {
    const answer = { member, packet, from, arrivedAtMs: nowMs };
    if (!this.held.hold(answer)) return this.takeHandshake(nowMs, answer);
    this.lookBy(this.held.dueAtMs);
    return undefined;
  }

  private takeHandshake(
    nowMs: TimeMs,
    { member, packet, from, arrivedAtMs }: HelloAnswer,
  ): FaultKind | undefined {
    const { status, handshake, path, requests } = member;
    if (status !== 'connecting' || handshake === undefined) return undefined;
    const pairs = this.held.pairsOf(member);
    const outcome = handshake.handle(packet);
    const isAnswer = outcome === 'advanced' || outcome === 'small-only';
    if (isAnswer) member.handleHandshakeAnswer(from);
    if (pairs.length > 1) {
      const answered = outcome === 'advanced' ? answeredPath(pairs, from) : undefined;
      if (answered !== undefined) path.moveTo(answered);
    } else if (isAnswer && path.addresses.noteAnswer(from)) {
      this.actions.push({ type: 'other-address', member });
    }
    if (outcome === 'advanced' && requests.sentAtMs !== undefined) {
      path.handleHandshakeRtt(nowMs, arrivedAtMs - requests.sentAtMs);
    }
    if (outcome === 'other-version') {
      // The packet is not authenticated, so its version causes a failure only if no handshake succeeds.
      member.noteOtherVersion(packet.version);
      return outcome;
    } else if (outcome === 'bad-handshake') {
      // The answer might be forged, so it only restarts the handshake and does not fail the receiver.
      member.dropHandshake();
      return outcome;
    } else if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, member, handshake.smallAnswers);
    } else if (outcome === 'advanced') {
      // The answer does not prove the receiver's identity, so the liveness timeout keeps running.
      if (handshake.stage === 'trust') this.actions.push({ type: 'identify', member });
      else this.sendRequest(nowMs, member);
    }
    return undefined;
  }

  /**
   * Records an ICMP error: datagrams do not reach a receiver's port. The liveness timeout is not shortened,
   * because the receiver might start later and because anyone on the path can forge ICMP.
   * @returns the event to report; undefined if another address might still answer, if the refusal was
   * reported before, or if the receiver announced a restart
   */
  noteRefusal(member: SessionMember, at: Address, refusal: Refusal): RefusedEvent | undefined {
    const refused = member.addresses.noteRefusal(at, refusal, receiverProgram);
    if (refused === undefined || member.deferral !== undefined) return undefined;
    const { name: receiver } = member;
    return { ...refused, receiver, livenessTimeoutMs: this.livenessTimeoutMs };
  }

  /** Maximum retry interval, limited so that even a short liveness timeout leaves time for a few attempts. */
  private get maxWaitMs(): number {
    return Math.min(retryTiming.maxMs, this.livenessTimeoutMs * waitShare);
  }

  /** @returns whether the receiver fails */
  private handleDue(nowMs: TimeMs, member: SessionMember): boolean {
    const { livenessTimeoutMs } = this;
    const { status, liveness, deferral } = member;
    const waitsSinceMs = Math.min(liveness.lastReceivedAtMs, deferral?.sinceMs ?? Infinity);
    if (status !== 'identifying' && nowMs - waitsSinceMs >= livenessTimeoutMs) {
      const reason = silenceReason(member, livenessTimeoutMs);
      this.actions.push({ type: 'fail', member, reason, isReachable: false });
      return true;
    }
    const reason = status === 'active' ? this.stuckReason(nowMs, member) : undefined;
    if (reason === undefined) this.sendRequest(nowMs, member, 'again');
    else this.actions.push({ type: 'fail', member, reason, isReachable: true });
    return reason !== undefined;
  }

  /** Reason to fail a receiver that still answers; undefined if there is none. */
  private stuckReason(nowMs: TimeMs, member: SessionMember): string | undefined {
    const { livenessTimeoutMs } = this;
    const { demand, liveness } = member;
    if (demand.unreachedMs >= livenessTimeoutMs) return unreachedReason(member, livenessTimeoutMs);
    const limitMs = stuckTimes * livenessTimeoutMs;
    // A receiver with nothing to do is waiting for other receivers and cannot make progress.
    if (nowMs - liveness.progressAtMs >= limitMs / 2 && !this.isAsked(member)) {
      const isBlocked = this.options.members.some(
        (other) => other !== member && other.status === 'active' && this.isAsked(other),
      );
      liveness.excuseUntil(isBlocked ? nowMs : this.progressAtMs);
    }
    if (nowMs - liveness.progressAtMs < limitMs) return undefined;
    return `answers, but has made no progress for ${limitMs / 1000} s`;
  }

  /** Whether the receiver has work to do: data to receive, or a digest to verify. */
  private isAsked(member: SessionMember): boolean {
    const { demand, liveness } = member;
    return demand.state === 'whole'
      ? this.options.contentRoot.dueTo(member) !== undefined
      : demand.neededDatagramsSent > liveness.neededSentAtProgress;
  }

  private sendHandshake(nowMs: TimeMs, member: SessionMember, which: 'first' | 'again'): void {
    if (member.isAsker) {
      // Only the asker can open a new channel. Its old one works again if just the network was interrupted.
      const { messages, options } = this;
      const isKnown = member.startedAtMs !== undefined;
      options.outbox.sendMessages(
        member,
        isKnown ? messages.pollOf(member) : [messages.offerTo(member)],
      );
      return;
    }
    // A receiver that sent a cookie and then fell silent might have restarted.
    const { requests, path } = member;
    if (member.handshake?.stage === 'open' && which === 'again') {
      requests.noteAttempt(which);
      if (requests.areExhausted) member.dropHandshake();
    }
    requests.noteSent(nowMs, which === 'again' && member.handshake !== undefined);
    if (member.handshake === undefined) this.beginHandshake(member);
    const { outbox } = this.options;
    const pairs = this.held.pairsOf(member);
    const datagrams = member.handshake?.nextDatagrams() ?? [];
    if (pairs.length > 1) {
      for (const ends of pairs) for (const bytes of datagrams) outbox.sendBetween(ends, bytes);
      return;
    }
    path.addresses.noteAttempt();
    for (const bytes of datagrams) outbox.send(member, bytes);
  }

  private beginHandshake(member: SessionMember): void {
    const { crypto, session } = this.options;
    const { index, path } = member;
    member.beginHandshake(new OutgoingHandshake(crypto, session, index, path.datagramSizeBytes));
  }

  private sendOffer(nowMs: TimeMs, member: SessionMember, which: 'first' | 'again'): void {
    const { requests } = member;
    requests.noteAttempt(which);
    if (requests.areExhausted && !member.isAsker) {
      // The receiver might have restarted, or the handshake was corrupted.
      member.startOver();
      this.sendRequest(nowMs, member);
      return;
    }
    // Sends more copies with each repetition, because a flooded receiver answers only some of them.
    const copies = Math.min(2 ** (requests.attemptCount - 1), maxOpenCopies);
    const { outbox } = this.options;
    for (let i = 0; i < copies; i++) {
      const confirmation = member.handshake?.datagram;
      if (confirmation !== undefined) outbox.send(member, confirmation);
      outbox.sendMessage(member, this.messages.offerTo(member));
    }
  }

  private sendPollOrRoot(nowMs: TimeMs, member: SessionMember): void {
    const { livenessTimeoutMs } = this;
    const askAfterMs = Math.min(retryTiming.quietMs, livenessTimeoutMs * quietShare);
    const quietMs = Math.max(askAfterMs, 2 * this.options.reportInterval.ms);
    const isQuiet = nowMs - member.liveness.lastReceivedAtMs >= quietMs;
    if (member.polls.isDue || isQuiet) {
      member.polls.setDue(!this.poll(nowMs, member));
      // After too many unanswered polls, `poll` starts a new handshake.
      if (member.status !== 'active') return;
    }
    const digest = this.options.contentRoot.dueTo(member);
    if (digest === undefined) return;
    this.options.outbox.sendMessages(member, this.messages.rootOf(member, digest));
  }

  /**
   * Handles a receiver that is about to restart: retries the handshake until the liveness timeout expires.
   */
  defer(nowMs: TimeMs, member: SessionMember, reason: string): void {
    member.defer(nowMs, reason);
    this.lookBy(member.requests.atMs);
  }

  /** Handles a receiver that has fallen silent: retries the handshake in case the receiver comes back. */
  private dropOut(nowMs: TimeMs, member: SessionMember): void {
    member.startOver();
    this.actions.push({ type: 'silent', member });
    this.sendRequest(nowMs, member);
  }

  /**
   * Handles the answer to a small hello. The receiver is reachable, so the sender soon repeats both sizes of
   * hello to find out whether the path MTU is too small for the full size.
   */
  private handleSmallAnswer(nowMs: TimeMs, member: SessionMember, smallAnswers: number): void {
    this.scheduleAt(member, nowMs + retryTiming.firstMs);
    if (smallAnswers === narrowPathAnswers.suspected) {
      this.actions.push({ type: 'narrow-path', member });
    } else if (smallAnswers === narrowPathAnswers.certain) {
      const reason = narrowPathReason(member);
      this.actions.push({ type: 'fail', member, reason, isReachable: true });
    }
  }
}
