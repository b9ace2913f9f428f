/**
 * The side that asks (SESSIONS 9): begins handshakes with hosts that serve objects, asks for objects and lists, and
 * hands the offers to the session receiver of the same port. It asks again if the asked host falls silent.
 */
import type { Address, Arrival } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { stoppedTimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal } from '../../base/refusal.js';
import { otherAddressEvent } from '../../path/candidate-addresses.js';
import { narrowPathAnswers } from '../../security/handshake.js';
import { secretFor } from '../../security/invitations.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import { retryTiming, sessionDefaults } from '../../transfer/config.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import type { FaultKind } from '../../wire/faults.js';
import { FaultLog } from '../../wire/faults.js';
import type { ChannelPacket } from '../../wire/header.js';
import { askerNumber, decodeSession, describeSession } from '../../wire/header.js';
import type { Message } from '../../wire/messages.js';
import { decodeMessage } from '../../wire/messages.js';
import type { Offer } from '../../wire/offer.js';
import { askedProgram, narrowPathReason, noAnswerReason } from './ask-failures.js';
import { AskRequests } from './ask-requests.js';
import type { AskerEvent, UnnamedAskerEvent } from './asker-events.js';
import type { AskerOptions, AwaitedAnswer } from './asker-options.js';
import type { AskSpec, OutgoingAsk } from './outgoing-ask.js';
import { checkAsk } from './outgoing-ask.js';
import { OutgoingAsks } from './outgoing-asks.js';

/** How often the asker looks at the sessions that answered. */
const lookMs = 1000;

/**
 * A `Machine` that asks hosts for objects, which the session receiver of the same endpoint receives (SESSIONS 9).
 * @example
 * ```ts
 * import { Asker, createNodeCrypto, Endpoint, generateKeyPair, SessionReceiver } from 'p2mp';
 *
 * const crypto = await createNodeCrypto(await generateKeyPair());
 * const receiver = new SessionReceiver({
 *   ...{ crypto, name: 'a', platform: 'posix' },
 *   refuseSender: () => 'receives only what it asks for',
 * });
 * const asker = new Asker({ crypto, receiver });
 * const endpoint = new Endpoint({ receiver, asker });
 * const server = { name: 'b', address: { host: '192.0.2.1', port: 7735 } };
 * asker.ask(0, { server, what: { name: 'photos' } });
 * // The first datagram asks the server whether it is there.
 * console.log(endpoint.pollTransmit(0)?.to.host); // 192.0.2.1
 * ```
 */
export class Asker implements Machine<AskerEvent> {
  private readonly asks: OutgoingAsks;
  private readonly requests: AskRequests;
  private readonly events = new Queue<AskerEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly livenessTimeoutMs: number;
  private lookAtMs: TimeMs = Infinity;

  constructor(private readonly options: AskerOptions) {
    this.asks = new OutgoingAsks(options.mssBytes);
    this.livenessTimeoutMs = options.livenessTimeoutMs ?? sessionDefaults.livenessTimeoutMs;
    this.requests = new AskRequests(options.crypto, this.livenessTimeoutMs);
  }

  /** Number of asks that are not over. */
  get askCount(): number {
    return this.asks.size;
  }

  /** Counts of bad datagrams since the start. */
  get faultCounts() {
    return this.faults.toCounts();
  }

  /**
   * Asks a host for an object, for the list of its objects, for an envelope of an origin, or to take part in an exchange.
   * @returns the number of the ask in events
   * @throws P2mpError INVALID_ARGUMENT if nothing names the object, or its name is too long
   */
  ask(nowMs: TimeMs, spec: AskSpec): number {
    checkAsk(spec);
    const prepared = this.asks.preparedFor(spec.server);
    if (prepared === undefined) return this.begin(nowMs, spec.server, spec);
    prepared.begin(nowMs, spec);
    if (prepared.stage === 'identifying') this.identify(prepared);
    return prepared.id;
  }

  /** Connects to a host that will probably be asked soon, as far as that works without trusting it. */
  prepare(nowMs: TimeMs, server: ReceiverSpec): void {
    if (this.asks.preparedFor(server) === undefined) this.begin(nowMs, server, undefined);
  }

  private begin(nowMs: TimeMs, server: ReceiverSpec, spec: AskSpec | undefined): number {
    const ask = this.asks.begin(nowMs, server, spec);
    this.requests.send(nowMs, ask, 'first');
    return ask.id;
  }

  /** Answers an `identify` event: trusts the asked host, or ends the ask with `refusal` as the reason. */
  trust(nowMs: TimeMs, id: number, refusal?: string): void {
    const ask = this.asks.get(id);
    if (ask?.stage !== 'identifying') return;
    if (refusal === undefined) {
      // While the user was prompted, the asked host had nothing to answer.
      ask.heardAtMs = nowMs;
      this.prove(nowMs, ask);
    } else {
      this.fail(nowMs, ask, refusal);
    }
  }

  /** Ends an ask, and the session that answered it. What has arrived is kept. */
  cancel(nowMs: TimeMs, id: number, reason: string): void {
    const ask = this.asks.get(id);
    if (ask === undefined) return;
    if (ask.session === undefined) {
      this.asks.end(ask);
      return;
    }
    // The ask is over once the asked host has confirmed the outcome.
    ask.dropHandshake();
    ask.requests.stop();
    const { receiver } = this.options;
    const { session } = ask;
    receiver.contain(nowMs, session, () => receiver.find(session)?.fail(nowMs, reason));
  }

  /** Sends a message to a coordinator whose first one has arrived. */
  say(id: number, message: ExchangeMessage): void {
    const ask = this.asks.get(id);
    if (ask?.channel !== undefined) this.requests.sendMessage(ask, ask.channel, message);
  }

  /** From now on, asks leave from these addresses of this host; if there are none, the system chooses. */
  setLocalHosts(hosts: readonly string[]): void {
    this.requests.setLocalHosts(hosts);
  }

  /** The asks that wait for an answer, and the addresses from which it can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return this.asks.awaited();
  }

  /** Handles an ICMP error: datagrams to an address of an asked host go no further. The asker keeps trying. */
  handleRefusal(id: number, at: Address, refusal: Refusal): void {
    const ask = this.asks.get(id);
    if (ask === undefined) return;
    const refused = ask.path.addresses.noteRefusal(at, refusal, askedProgram(ask));
    if (refused === undefined || ask.deferredAtMs !== undefined) return;
    const { livenessTimeoutMs } = this;
    this.events.push({ ...refused, receiver: ask.name, livenessTimeoutMs });
  }

  /** Why no address of an asked host takes datagrams; undefined if one may, or if the host has asked to wait. */
  refusalOf(id: number): string | undefined {
    const ask = this.asks.get(id);
    if (ask === undefined || ask.deferredAtMs !== undefined) return undefined;
    return ask.path.addresses.describeRefusal(askedProgram(ask));
  }

  /** Whether this is the number of a channel that this asker began. */
  knows(channelNumber: number): boolean {
    return this.asks.withChannel(channelNumber) !== undefined;
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string') {
      this.faults.add(packet, from, bytes);
      return;
    }
    const { kind } = packet;
    if (kind !== 'cookie' && kind !== 'reply' && kind !== 'control') {
      this.faults.add('wrong-direction', from, bytes);
      return;
    }
    const ask = packet.receiver === askerNumber ? this.asks.withChannel(packet.session) : undefined;
    if (ask !== undefined) ask.answerCount++;
    const fault =
      ask === undefined
        ? 'no-session'
        : kind === 'control'
          ? this.handleControl(nowMs, ask, packet, from)
          : this.handleHandshake(nowMs, ask, packet, from);
    if (fault !== undefined) this.faults.add(fault, from, bytes);
  }

  handleTimeout(nowMs: TimeMs): void {
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    for (const ask of this.asks) {
      ask.heardAtMs += stoppedMs;
      if (ask.session !== undefined) this.lookAtSession(nowMs, ask, ask.session);
      if (this.asks.has(ask) && ask.requests.atMs <= nowMs) this.handleDue(nowMs, ask);
    }
    this.lookAtMs = this.asks.haveSession ? nowMs + lookMs : Infinity;
  }

  pollTransmit(): Transmit | undefined {
    return this.requests.shift();
  }

  pollTimeout(): TimeMs | undefined {
    const earliestMs = Math.min(this.lookAtMs, this.asks.dueAtMs);
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  pollEvent(): AskerEvent | undefined {
    return this.events.shift();
  }

  // --- Requests

  private handleDue(nowMs: TimeMs, ask: OutgoingAsk): void {
    const { patienceMs = this.livenessTimeoutMs } = ask.spec;
    if (ask.isStale(nowMs)) this.asks.end(ask);
    else if (ask.session === undefined && ask.waitedMs(nowMs) >= patienceMs)
      this.fail(nowMs, ask, noAnswerReason(ask, patienceMs));
    else this.requests.send(nowMs, ask, 'again');
  }

  // --- Handshakes

  /** @returns the fault to count, if there is one */
  private handleHandshake(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    packet: ChannelPacket,
    from: Arrival,
  ): FaultKind | undefined {
    const { handshake, requests, path } = ask;
    if (ask.stage !== 'connecting' || handshake === undefined) return undefined;
    const isHello = handshake.stage === 'hello';
    const pairs = isHello ? this.requests.pairsOf(ask) : [path.ends];
    const latest = isHello ? this.requests.latestPairsOf(ask) : [path.ends];
    const outcome = handshake.handle(packet);
    if (outcome === 'other-version') {
      ask.otherVersion = packet.version;
      return outcome;
    }
    if (outcome === 'bad-handshake') {
      // The answer might be forged, so it only restarts the handshake.
      ask.handshake = undefined;
      return outcome;
    }
    if (outcome === 'late') return undefined;
    if (ask.noteAnswer(pairs, latest, from))
      this.events.push(otherAddressEvent(ask.name, path.addresses));
    if (outcome === 'small-only') {
      this.handleSmallAnswer(nowMs, ask, handshake.smallAnswers);
      return undefined;
    }
    if (requests.sentAtMs !== undefined) ask.noteRtt(nowMs - requests.sentAtMs);
    if (handshake.stage !== 'trust') this.requests.send(nowMs, ask, 'first');
    else if (ask.identify()) this.prove(nowMs, ask);
    else if (ask.isPrepared) this.requests.send(nowMs, ask, 'first');
    else this.identify(ask);
    return undefined;
  }

  private identify(ask: OutgoingAsk): void {
    ask.requests.stop();
    this.emit(ask, { type: 'identify', serverKey: ask.shownKey });
  }

  /** The host is reachable. If the path does not carry the larger hello, the asker tries a smaller size. */
  private handleSmallAnswer(nowMs: TimeMs, ask: OutgoingAsk, smallAnswers: number): void {
    ask.requests.scheduleAt(nowMs + retryTiming.firstMs);
    if (smallAnswers < narrowPathAnswers.suspected) return;
    if (ask.narrow()) this.requests.send(nowMs, ask, 'first');
    else this.fail(nowMs, ask, narrowPathReason(ask));
  }

  private prove(nowMs: TimeMs, ask: OutgoingAsk): void {
    ask.prove(secretFor(this.options.invitations ?? [], ask.shownKey));
    this.requests.send(nowMs, ask, 'first');
  }

  // --- Answers

  /** @returns the fault to count, if there is one */
  private handleControl(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    packet: ChannelPacket,
    from: Address,
  ): FaultKind | undefined {
    const isOfSession = packet.session === ask.channel?.session;
    const channel = isOfSession ? ask.channel : ask.handshake?.channel;
    if (channel === undefined) return 'no-session';
    const opened = channel.open(packet);
    if (typeof opened === 'string') return opened;
    const message = decodeMessage(opened);
    if (message === undefined) return 'bad-message';
    ask.heardAtMs = nowMs;
    const isGood =
      isOfSession && ask.session !== undefined
        ? this.handleSessionMessage(nowMs, ask, ask.session, from, message)
        : this.handleAnswer(nowMs, ask, channel, from, message);
    return isGood ? undefined : 'bad-message';
  }

  private handleSessionMessage(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    session: number,
    from: Address,
    message: Message,
  ): boolean {
    // The old channel works again.
    if (ask.stage !== 'answered') {
      ask.dropHandshake();
      ask.requests.stop();
    }
    const { receiver } = this.options;
    // It was delayed on the way, or is a further `bye`: every repeated outcome is confirmed.
    if (message.kind === 'preparing' || receiver.find(session) === undefined) return true;
    if (message.kind === 'offer' && message.session !== session) return false;
    const isGood = receiver.deliver(nowMs, session, from, ask.adapt(message));
    // The shell hears of the session's outcome first.
    if (receiver.find(session) === undefined) this.lookAtMs = nowMs;
    return isGood;
  }

  /** @returns false if the message does not answer an ask */
  private handleAnswer(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    channel: SecureChannel,
    from: Address,
    message: Message,
  ): boolean {
    ask.isHeard = true;
    switch (message.kind) {
      case 'offer':
        if (ask.spec.what === undefined) return false;
        this.takeOffer(nowMs, ask, channel, from, message);
        return true;
      case 'refuse':
        if (message.isTemporary) this.defer(nowMs, ask, message.reason);
        else this.fail(nowMs, ask, message.reason, 'refused');
        return true;
      case 'preparing':
        ask.notePreparing();
        if (message.reason !== '') this.emit(ask, { type: 'waiting', reason: message.reason });
        return true;
      case 'list':
        if (ask.spec.what !== undefined || ask.spec.envelope !== undefined) return false;
        if (message.after !== ask.after) return true;
        this.emit(ask, { type: 'page', page: message });
        ask.after = message.objects.at(-1)?.name ?? '';
        if (message.isLast) this.asks.end(ask);
        else this.requests.send(nowMs, ask, 'first');
        return true;
      case 'exchange':
        if (ask.spec.isExchange !== true) return false;
        if (ask.stage === 'asking') ask.useChannel();
        this.emit(ask, { type: 'exchange', message });
        return true;
      case 'envelope':
        if (ask.spec.envelope === undefined) return false;
        this.asks.end(ask);
        this.emit(ask, { type: 'envelope', envelope: message.envelope });
        return true;
      case 'bye':
        // It has overtaken the offer of the session that it ends.
        if (ask.spec.what === undefined) return false;
        this.defer(nowMs, ask, message.reason || 'has ended the session');
        return true;
      default:
        return false;
    }
  }

  private takeOffer(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    channel: SecureChannel,
    from: Address,
    offer: Offer,
  ): void {
    const { receiver } = this.options;
    const { session: older, serverKey: peerKey, rttMs } = ask;
    const isAgain = older === offer.session;
    // Beside the sessions with an outcome, because the asked host might never confirm that.
    if (older !== undefined && !isAgain)
      receiver.abandon(nowMs, older, 'replaced: the server has begun a new session');
    const { isSource = false } = ask.spec;
    const origin = { channel, peerKey, rttMs, from, isSource };
    ask.take(offer.session, offer.reportIntervalMs);
    const reason = receiver.takeOffer(nowMs, origin, ask.adapt(offer) as Offer, isAgain);
    if (reason === undefined) {
      if (!isAgain) this.emit(ask, { type: 'answered', session: offer.session });
    } else {
      this.requests.sendMessage(ask, channel, { kind: 'refuse', reason, isTemporary: false });
      this.asks.end(ask);
      const { session } = offer;
      const isShared = receiver.find(session) !== undefined;
      this.emit(ask, isShared ? { type: 'shared', session, reason } : { type: 'failed', reason });
    }
    this.lookAtMs = Math.min(this.lookAtMs, nowMs + lookMs);
  }

  /** The asked host asks to try again later. */
  private defer(nowMs: TimeMs, ask: OutgoingAsk, reason: string): void {
    if (ask.defer(nowMs)) this.emit(ask, { type: 'deferred', reason });
  }

  // --- Sessions

  private lookAtSession(nowMs: TimeMs, ask: OutgoingAsk, number: number): void {
    const session = this.options.receiver.find(number);
    if (session === undefined) {
      this.end(ask);
      return;
    }
    if (session.isSettled || ask.stage !== 'answered') return;
    const isSilent = ask.isSilent(nowMs, session.heardAtMs);
    if (!isSilent && ask.channel?.isSpent !== true) return;
    if (isSilent) this.emit(ask, { type: 'silent' });
    ask.beginHandshake(this.options.crypto);
    this.requests.send(nowMs, ask, 'first');
  }

  // --- Ends

  private end(ask: OutgoingAsk): void {
    this.asks.end(ask);
    this.emit(ask, { type: 'ended' });
  }

  private fail(
    nowMs: TimeMs,
    ask: OutgoingAsk,
    reason: string,
    type: 'failed' | 'refused' = 'failed',
  ): void {
    this.asks.end(ask);
    if (ask.session !== undefined) this.options.receiver.abandon(nowMs, ask.session, reason);
    this.emit(ask, { type, reason });
  }

  private emit({ id: ask, name: server }: OutgoingAsk, event: UnnamedAskerEvent): void {
    this.events.push({ ...event, ask, server });
  }
}
