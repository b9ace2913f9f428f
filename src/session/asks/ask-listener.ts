/**
 * The side that is asked (SESSIONS 9): answers the handshakes that receivers begin, tells the shell what they ask for,
 * and hands the channel of each accepted receiver to a session's sender.
 */
import type { Address } from '../../base/address.js';
import { formatAddress, sameAddress } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { Proven } from '../../security/incoming-handshakes.js';
import { IncomingHandshakes } from '../../security/incoming-handshakes.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { Invitation, Invitations } from '../../security/invitations.js';
import type { Ask, List } from '../../wire/asks.js';
import { toHex } from '../../wire/byte-codec.js';
import type { EnvelopeRequest } from '../../wire/envelope-request.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import { FaultLog } from '../../wire/faults.js';
import type { ChannelPacket } from '../../wire/header.js';
import { askerNumber, decodeSession, describeSession } from '../../wire/header.js';
import type { Message } from '../../wire/messages.js';
import { decodeMessage, encodeMessage } from '../../wire/messages.js';
import type { SessionReceiver } from '../receiver.js';
import type { SessionSender } from '../sender.js';
import { TurnedAwayLog } from '../turned-away-log.js';
import { AskedChannel } from './asked-channel.js';
import type { AskListenerEvent, AskRefusalCause } from './listener-events.js';

/** Options of an `AskListener`. */
export interface AskListenerOptions {
  /** Cryptographic functions that use this host's key. */
  readonly crypto: SessionCrypto;
  /**
   * Decides by its public key whether a receiver may ask at all. If it may not, it learns nothing else.
   * @returns the reason to refuse; undefined if the receiver may ask
   */
  readonly refuseAsker: (askerKey: Uint8Array) => string | undefined;
  /**
   * Whether a receiver that `refuseAsker` refuses is to ask again later, because it may be known by then. Its ask then
   * counts as no fault. False by default.
   */
  readonly refusesForNow?: boolean;
  /** The session receiver on the same port, if any. Both then share one limit of handshakes. */
  readonly receiver?: SessionReceiver;
  /** Whether this host coordinates an exchange, whose peers talk to it. */
  readonly isCoordinator?: boolean;
  /** Returns what holds up the answer to a question; by default, nothing is known to. */
  readonly describeWait?: (question: Ask | EnvelopeRequest) => string | undefined;
  /** Maximum number of channels; 1,024 by default. */
  readonly maxChannels?: number;
}

export const askListenerLimits = {
  channels: 1024,
  /** A channel that has been silent for this long is forgotten, unless its receiver takes part in a session. */
  silentMs: 30_000,
  /** Interval between two searches for such channels. */
  sweepMs: 5000,
} as const;

/**
 * A `Machine` that is asked for objects: proves who asks, and hands those whom the shell accepts to senders (SESSIONS 9).
 * @example
 * ```ts
 * import { AskListener, createNodeCrypto, Endpoint, generateKeyPair } from 'p2mp';
 *
 * const listener = new AskListener({
 *   crypto: await createNodeCrypto(await generateKeyPair()),
 *   refuseAsker: () => undefined,
 * });
 * const endpoint = new Endpoint({ listener });
 * console.log(listener.channelCount, endpoint.pollTimeout()); // 0 undefined
 * ```
 */
export class AskListener implements Machine<AskListenerEvent> {
  private readonly handshakes: IncomingHandshakes;
  private readonly ownsHandshakes: boolean;
  /** By channel number; the one that was opened first comes first. */
  private readonly channels = new Map<number, AskedChannel>();
  private readonly transmits = new Queue<Transmit>();
  private readonly events = new Queue<AskListenerEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly turnedAway = new TurnedAwayLog();
  private readonly invitations: Invitations;
  /** The channels of invited receivers of which the shell has not heard yet. */
  private readonly unheard = new Set<AskedChannel>();
  private isDraining = false;
  private sweepAtMs: TimeMs = Infinity;

  constructor(private readonly options: AskListenerOptions) {
    const { crypto, receiver } = options;
    this.ownsHandshakes = receiver === undefined;
    this.invitations = new Invitations(crypto);
    this.handshakes =
      receiver?.handshakes ??
      new IncomingHandshakes(crypto, {
        send: (to, bytes) => this.transmits.push({ to, bytes }),
        countFault: (kind, from, bytes) => this.faults.add(kind, from, bytes),
      });
  }

  /** Number of channels that are open. */
  get channelCount(): number {
    return this.channels.size;
  }

  /** Counts of bad datagrams since the start. */
  get faultCounts() {
    return this.faults.toCounts();
  }

  /** Refuses new receivers temporarily; those that were accepted continue. */
  drain(): void {
    this.isDraining = true;
  }

  /**
   * Invites receivers that `refuseAsker` refuses (SESSIONS 3.15).
   * @returns the secret of the invitation, which is kept only in memory
   */
  invite(nowMs: TimeMs, terms: InvitationTerms): Uint8Array {
    return this.invitations.create(nowMs, terms);
  }

  /**
   * Answers an `ask` event: the receiver takes part in the session of this sender, which offers it the object.
   * @param name the receiver's name in events and results; by default its address
   * @returns the receiver's number in the session; undefined if its channel is gone
   * @throws P2mpError INVALID_ARGUMENT if the session has ended
   */
  accept(nowMs: TimeMs, channel: number, sender: SessionSender, name?: string): number | undefined {
    const asked = this.channels.get(channel);
    if (asked?.state !== 'asked') return undefined;
    const { from: address } = asked;
    // The session begins on the path on which the ask has come.
    const ends = { address, ...withoutUndefined({ localHost: address.localHost }) };
    const spec = { name: name ?? formatAddress(address), ...ends };
    const index = sender.join(nowMs, spec, asked.proven);
    asked.handOver(sender, index);
    return index;
  }

  /** Answers an `ask`, `list-request` or `envelope-request` event with a refusal. */
  refuse(nowMs: TimeMs, channel: number, reason: string, isTemporary = false): void {
    const asked = this.channels.get(channel);
    if (asked === undefined || asked.sender !== undefined) return;
    asked.heardAtMs = nowMs;
    this.send(asked, asked.conclude({ kind: 'refuse', reason, isTemporary }));
  }

  /** Answers an `envelope-request` event. */
  answerEnvelope(nowMs: TimeMs, channel: number, envelope: Uint8Array): void {
    const asked = this.channels.get(channel);
    if (asked?.state !== 'asked') return;
    asked.heardAtMs = nowMs;
    this.send(asked, asked.conclude({ kind: 'envelope', envelope }));
  }

  /** Answers a `list-request` event with a page, as `fillPage` makes it. */
  answerList(channel: number, list: List): void {
    const asked = this.channels.get(channel);
    if (asked?.takeListing(list.after) === true) this.send(asked, list);
  }

  /** Sends a message to a peer of an exchange, if its channel is still there. */
  say(channel: number, message: ExchangeMessage): void {
    const asked = this.channels.get(channel);
    if (asked?.state === 'talking') this.send(asked, message);
  }

  /** Forgets the channels of a sender that is removed. */
  removeSender(sender: SessionSender): void {
    for (const [number, asked] of this.channels)
      if (asked.sender === sender) this.channels.delete(number);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string') {
      this.faults.add(packet, from, bytes);
      return;
    }
    switch (packet.kind) {
      case 'hello':
      case 'open':
      case 'proof':
        this.handleHandshake(nowMs, packet, from, bytes);
        break;
      case 'control':
        this.handleControl(nowMs, packet, from, bytes);
        break;
      default:
        this.faults.add('wrong-direction', from, bytes);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.ownsHandshakes) this.handshakes.handleTimeout(nowMs);
    if (nowMs < this.sweepAtMs) return;
    for (const [number, asked] of this.channels) {
      const isSilent = nowMs - asked.heardAtMs >= askListenerLimits.silentMs;
      if (isSilent && !asked.isInSession) this.channels.delete(number);
    }
    this.sweepAtMs = this.channels.size === 0 ? Infinity : nowMs + askListenerLimits.sweepMs;
  }

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  pollTimeout(): TimeMs | undefined {
    const handshakesAtMs = this.ownsHandshakes ? this.handshakes.pollTimeout() : Infinity;
    const atMs = Math.min(this.sweepAtMs, handshakesAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): AskListenerEvent | undefined {
    const event = this.events.shift();
    // The shell has heard of all of them.
    if (event === undefined) this.unheard.clear();
    return event;
  }

  // --- Handshakes

  private handleHandshake(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array) {
    const proven = this.handshakes.handle(nowMs, packet, from, bytes);
    if (proven === undefined) return;
    const { peerKey, invitationProof } = proven;
    const distrust = this.options.refuseAsker(peerKey);
    const judged =
      distrust === undefined ? undefined : this.invitations.judge(nowMs, distrust, invitationProof);
    const isInvited = judged instanceof Invitation;
    const rejection = judged === undefined || isInvited ? this.rejectionOf(packet) : judged;
    if (rejection !== undefined) {
      if (rejection.cause === 'no-room') this.faults.add('no-room', from, bytes);
      else if (!this.refusesForNow) this.faults.add('untrusted', from, bytes);
      this.reject(nowMs, packet, from, proven, rejection);
    } else if (this.channels.has(packet.session)) {
      // The number was drawn at random, so somebody has copied it.
      this.faults.add('bad-handshake', from, bytes);
    } else {
      const asked = new AskedChannel(nowMs, from, proven);
      this.channels.set(packet.session, asked);
      this.sweepAtMs = Math.min(this.sweepAtMs, nowMs + askListenerLimits.sweepMs);
      if (isInvited) this.admitInvited(asked, judged);
    }
  }

  private admitInvited(asked: AskedChannel, invitation: Invitation): void {
    invitation.use();
    this.unheard.add(asked);
    const { from, proven } = asked;
    const { host, port } = from;
    const { usesLeft } = invitation;
    this.events.push({
      type: 'asker-invited',
      ...{ from: { host, port }, askerKey: proven.peerKey, usesLeft },
    });
  }

  /** Why a receiver that may ask gets no channel now; undefined if it does. */
  private rejectionOf({
    receiver,
  }: ChannelPacket): { readonly cause: AskRefusalCause; readonly reason: string } | undefined {
    const { maxChannels = askListenerLimits.channels } = this.options;
    if (receiver !== askerNumber) return { cause: 'untrusted', reason: 'receives nothing' };
    if (this.isDraining) return { cause: 'no-room', reason: 'is shutting down' };
    if (this.channels.size >= maxChannels && !this.forgetIdle())
      return { cause: 'no-room', reason: `busy with ${maxChannels} clients; ask again later` };
    return undefined;
  }

  private reject(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    { channel, peerKey: askerKey }: Proven,
    { cause, reason }: { readonly cause: AskRefusalCause; readonly reason: string },
  ): void {
    const isTemporary = cause === 'no-room' || this.refusesForNow;
    const refusal = encodeMessage({ kind: 'refuse', reason, isTemporary });
    this.handshakes.refuse(nowMs, packet, from, channel.seal(refusal));
    if (this.isDraining && isTemporary) return;
    const report = this.turnedAway.take(nowMs, from.host, toHex(askerKey));
    if (report === undefined) return;
    const { host, port } = from;
    this.events.push({
      type: 'asker-turned-away',
      ...{ cause, from: { host, port }, askerKey, reason },
      ...report,
    });
  }

  /** Forgets the oldest channel on which nothing is going on. */
  private forgetIdle(): boolean {
    for (const [number, asked] of this.channels) {
      const { state } = asked;
      if (asked.isInSession || state === 'asked' || state === 'talking') continue;
      return this.channels.delete(number);
    }
    return false;
  }

  // --- Channels

  private handleControl(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    const asked = packet.receiver === askerNumber ? this.channels.get(packet.session) : undefined;
    if (asked === undefined) {
      this.faults.add('no-session', from, bytes);
      return;
    }
    if (asked.sender !== undefined) {
      asked.heardAtMs = nowMs;
      asked.sender.handleDatagram(nowMs, from, bytes);
      return;
    }
    const opened = asked.proven.channel.open(packet);
    if (typeof opened === 'string') {
      this.faults.add(opened, from, bytes);
      return;
    }
    // Answers are longer than requests, and only the address of the handshake is proven.
    if (!sameAddress(from, asked.from)) {
      this.faults.add('stranger', from, bytes);
      return;
    }
    asked.heardAtMs = nowMs;
    const message = decodeMessage(opened);
    if (message === undefined || !this.handleMessage(packet.session, asked, message))
      this.faults.add('bad-message', from, bytes);
  }

  /** @returns false if messages of this kind are not for this side */
  private handleMessage(channel: number, asked: AskedChannel, message: Message): boolean {
    const { kind } = message;
    const isQuestion = kind === 'ask' || kind === 'list-request' || kind === 'envelope-request';
    if (!isQuestion && kind !== 'exchange') return false;
    const { answer } = asked;
    const reason = answer?.kind === 'refuse' ? undefined : this.refusalOf(asked, kind);
    if (reason !== undefined) {
      const isTemporary = kind !== 'exchange' && this.refusesForNow;
      this.send(asked, asked.conclude({ kind: 'refuse', reason, isTemporary }));
      return true;
    }
    if (answer !== undefined) {
      this.send(asked, answer);
      return true;
    }
    const { host, port } = asked.from;
    const asker = { channel, from: { host, port }, askerKey: asked.proven.peerKey };
    if (kind === 'exchange') {
      if (!asked.talk()) return false;
      this.events.push({ type: 'exchange', ...asker, message });
    } else if (kind === 'list-request') {
      const { after } = message;
      if (asked.beginListing(after)) this.events.push({ type: 'list-request', ...asker, after });
      else this.send(asked, { kind: 'preparing', reason: '' });
    } else if (!asked.ask()) {
      const reason = this.options.describeWait?.(message) ?? '';
      this.send(asked, { kind: 'preparing', reason });
    } else if (kind === 'envelope-request') {
      const { kind: _, hops, ...question } = message;
      this.events.push({ type: 'envelope-request', ...asker, question, hops });
    } else {
      const { kind: _, mssBytes, hops, ...what } = message;
      this.events.push({ type: 'ask', ...asker, what, mssBytes, hops });
    }
    return true;
  }

  private get refusesForNow(): boolean {
    return this.options.refusesForNow === true;
  }

  private refusalOf(asked: AskedChannel, kind: Message['kind']): string | undefined {
    const { isCoordinator = false, refuseAsker } = this.options;
    if (kind === 'exchange' && !isCoordinator) return 'coordinates no exchange';
    // Its key can have lost the right since the handshake.
    return this.unheard.has(asked) ? undefined : refuseAsker(asked.proven.peerKey);
  }

  private send({ from: to, proven }: AskedChannel, message: Message): void {
    const { channel } = proven;
    if (!channel.isSpent) this.transmits.push({ to, bytes: channel.seal(encodeMessage(message)) });
  }
}
