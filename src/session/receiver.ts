/**
 * Receives many sessions from many senders at the same time (SESSIONS 3). Admits trusted senders within the
 * limits, and passes each datagram to its session.
 */
import type { Address } from '../base/address.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { stoppedTimeMs } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import { Queue } from '../base/queue.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { IncomingHandshakes } from '../security/incoming-handshakes.js';
import type { InvitationTerms } from '../security/invitations.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { FaultLog } from '../wire/faults.js';
import type { ChannelPacket, ProbePacket } from '../wire/header.js';

import {
  askerNumber,
  decodeSession,
  describeSession,
  isBlockDatagram,
  sessionField,
} from '../wire/header.js';
import type { Message } from '../wire/messages.js';
import { decodeMessage } from '../wire/messages.js';
import type { Offer } from '../wire/offer.js';
import type { IncomingSession } from './incoming/incoming-session.js';
import type { SessionOrigin } from './incoming/incoming-sessions.js';
import { IncomingSessions } from './incoming/incoming-sessions.js';
import { refusePeer } from './incoming/relayed-offers.js';
import type {
  IncomingStatus,
  SessionReceiverEvent,
  SessionReceiverResult,
} from './receiver-events.js';
import type { SessionReceiverOptions } from './receiver-options.js';
import { SenderAdmission } from './sender-admission.js';
import { WorkQueue } from './work-queue.js';

/**
 * A `Machine` that receives any number of sessions from any number of senders on one port (SESSIONS 3 to 6).
 * @example
 * ```ts
 * import { createNodeCrypto, generateKeyPair, SessionReceiver } from 'p2mp';
 *
 * const receiver = new SessionReceiver({
 *   crypto: await createNodeCrypto(await generateKeyPair()),
 *   name: 'a',
 *   platform: 'posix',
 *   refuseSender: () => undefined,
 * });
 * console.log(receiver.activeCount, receiver.pollTimeout()); // 0 undefined
 * ```
 */
export class SessionReceiver implements Machine<SessionReceiverEvent> {
  /** An `AskListener` on the same port can share them. */
  readonly handshakes: IncomingHandshakes;
  private readonly admission: SenderAdmission;
  private readonly sessions: IncomingSessions;
  private readonly transmits = new Queue<Transmit>();
  private readonly events = new Queue<SessionReceiverEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly counts = { complete: 0, failed: 0, refused: 0, listed: 0, internalErrors: 0 };
  private readonly steps = new WorkQueue<IncomingSession>();
  private isDraining = false;

  constructor(options: SessionReceiverOptions) {
    this.handshakes = new IncomingHandshakes(options.crypto, {
      send: (to, bytes) => this.transmits.push({ to, bytes }),
      countFault: (kind, from, bytes) => this.faults.add(kind, from, bytes),
    });
    this.admission = new SenderAdmission(this.handshakes, options.crypto, {
      isDraining: () => this.isDraining,
      refusal: () => this.refusal,
      refuseSender: (key) => refusePeer(options, key),
      countFault: (kind, from, bytes) => this.faults.add(kind, from, bytes),
      emit: (event) => this.events.push(event),
    });
    const { events, transmits, faults, steps } = this;
    this.sessions = new IncomingSessions(options, {
      queues: { events, transmits, faults },
      steps,
      outcomeCounts: this.counts,
    });
  }

  /** The number of sessions without an outcome. */
  get activeCount(): number {
    return this.sessions.activeCount;
  }

  /** Whether every session is over, so that nothing is left to send. */
  get isIdle(): boolean {
    return this.sessions.isIdle;
  }

  /** Memory in use for partial blocks and unwritten content. */
  get bufferedBytes(): number {
    return this.sessions.budget.usedBytes;
  }

  /** Creates an invitation (SESSIONS 3.15). @returns its secret, which is kept only in memory */
  invite(nowMs: TimeMs, terms: InvitationTerms): Uint8Array {
    return this.admission.invitations.create(nowMs, terms);
  }

  /** Stops accepting sessions; current sessions continue. */
  drain(): void {
    this.isDraining = true;
  }

  /** Fails every session. The received parts are kept, so that later sessions can resume. */
  abort(nowMs: TimeMs, reason: string): void {
    this.drain();
    for (const session of this.sessions.all()) {
      const { session: id } = session;
      this.contain(nowMs, id, () => session.fail(nowMs, reason));
    }
  }

  /**
   * Fails every session without notifying the senders. Each sender notices the silence, reconnects, and
   * resumes with the receiver that replaces this one (SESSIONS 3.12).
   */
  leave(nowMs: TimeMs, reason: string): void {
    this.drain();
    for (const session of this.sessions.all()) {
      const { session: id } = session;
      if (session.isSettled) continue;
      this.contain(nowMs, id, () => session.fail(nowMs, reason));
      this.sessions.delete(id);
    }
    // Failing a session queues its outcome, which must not be sent. Datagrams queued earlier have already left.
    this.transmits.clear();
  }

  /** Reason to refuse a new session; undefined if this receiver would accept one. */
  get refusal(): string | undefined {
    if (this.isDraining) return 'this receiver is shutting down and accepts no new sessions';
    const { maxSessions } = this.sessions;
    if (this.activeCount < maxSessions) return undefined;
    return `busy with ${maxSessions} sessions; try again later`;
  }

  /** The session with this number; undefined once it has ended. */
  find(session: number): IncomingSession | undefined {
    return this.sessions.find(session);
  }

  /** Call this when the shell has written the bytes of a `write` event or no longer needs them. */
  handleWritten(nowMs: TimeMs, session: number, sizeBytes: number): void {
    this.sessions.budget.usedBytes -= sizeBytes;
    this.sessions.find(session)?.handleWritten(nowMs, sizeBytes);
  }

  /** The sessions in progress. */
  statuses(nowMs: TimeMs): IncomingStatus[] {
    return this.sessions.statuses(nowMs);
  }

  /** Counts since the start. */
  result(): SessionReceiverResult {
    return { ...this.counts, faults: this.faults.toCounts() };
  }

  /**
   * Says at which addresses senders can reach this receiver, for several paths at once. The senders of sessions that have
   * begun learn it, too.
   */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    this.sessions.setAddresses(nowMs, addresses);
  }

  /** Call this when addresses of this host have changed. The senders learn it at once, and not once they miss reports. */
  handleMove(nowMs: TimeMs): void {
    for (const session of this.sessions.all())
      this.contain(nowMs, session.session, () => session.handleMove(nowMs));
  }

  /** Handles one datagram. An `Endpoint` splits datagrams that arrived together. */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    if (isBlockDatagram(bytes, 0)) this.handleBlocks(nowMs, from, bytes, 0);
    // The datagram is not authenticated yet, so an error here must not end the session that it names.
    else this.contain(nowMs, undefined, () => this.handleSingle(nowMs, from, bytes));
  }

  /**
   * Runs work of one session. An error that the work throws is a bug in this program, and ends only that
   * session.
   * @param id undefined if the work belongs to no session
   */
  contain(nowMs: TimeMs, id: number | undefined, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.handleInternalError(nowMs, id, error);
    }
  }

  /** Reports a bug that occurred in one session's work, and ends that session. */
  handleInternalError(nowMs: TimeMs, id: number | undefined, error: unknown): void {
    this.counts.internalErrors++;
    const session = id === undefined ? undefined : this.sessions.find(id);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const label = session?.info?.label;
    this.events.push({
      type: 'internal-error',
      ...withoutUndefined({ session: session?.session, label }),
      stack,
    });
    try {
      session?.fail(nowMs, 'internal error in the receiver; see its log');
    } catch {
      // The session's state is broken, so the session is deleted. The sender gets no more answers and
      // reconnects.
      if (id !== undefined) this.sessions.delete(id);
    }
  }

  private handleSingle(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeSession(bytes);
    if (typeof packet === 'string') {
      this.faults.add(packet, from, bytes);
      return;
    }
    switch (packet.kind) {
      case 'control':
        this.handleControl(nowMs, packet, from, bytes);
        break;
      case 'probe':
        this.handleProbe(nowMs, packet, from, bytes);
        break;
      case 'hello':
      case 'open':
      case 'proof':
        this.handleHandshake(nowMs, packet, from, bytes);
        break;
      default:
        this.faults.add('wrong-direction', from, bytes);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    const sessions = stoppedMs > 0 ? this.sessions.all() : this.sessions.due(nowMs);
    for (const session of sessions) {
      const { session: id } = session;
      this.contain(nowMs, id, () => session.handleTimeout(nowMs, stoppedMs));
      if (session.isOver) this.sessions.delete(id);
    }
    this.steps.step(nowMs, (session) => {
      this.contain(nowMs, session.session, () => {
        this.sessions.touch(session);
        session.step(nowMs);
        session.flush(nowMs);
      });
    });
    this.handshakes.handleTimeout(nowMs);
  }

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  pollTimeout(): TimeMs | undefined {
    const { handshakes, steps, sessions } = this;
    const earliestMs = Math.min(handshakes.pollTimeout(), steps.dueAtMs, sessions.dueAtMs);
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  pollEvent(): SessionReceiverEvent | undefined {
    return this.events.shift();
  }

  // --- Handshakes

  private handleHandshake(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array) {
    const proven = this.handshakes.handle(nowMs, packet, from, bytes);
    if (proven === undefined) return;
    const proof = { ...proven, packet, from, bytes };
    if (packet.receiver === askerNumber) {
      this.admission.refuseAsker(nowMs, proof);
      return;
    }
    const known = this.sessions.find(packet.session);
    if (known !== undefined) {
      this.admission.reconnect(nowMs, proof, known);
      return;
    }
    const admission = this.admission.admit(nowMs, proof);
    if (admission !== undefined)
      this.sessions.create(nowMs, packet.session, { ...proof, ...admission });
  }

  // --- Sessions that this receiver asked for (SESSIONS 9)

  /**
   * Begins a session with an offer that answers an ask, or connects a session to a new channel.
   * @param isAgain whether the ask has the session already
   * @returns the reason to refuse the offer; undefined if there is none
   */
  takeOffer(
    nowMs: TimeMs,
    origin: SessionOrigin,
    offer: Offer,
    isAgain: boolean,
  ): string | undefined {
    const { session: number } = offer;
    const known = this.sessions.find(number);
    if (known === undefined) {
      const { refusal } = this;
      if (refusal !== undefined) return refusal;
      this.sessions.create(nowMs, number, origin);
    } else if (isAgain && isEqualBytes(known.senderKey, origin.peerKey)) {
      known.rechannel(nowMs, origin.channel, origin.from);
    } else {
      return 'takes part in this session already';
    }
    this.deliver(nowMs, number, origin.from, offer);
    return undefined;
  }

  /** @returns false if messages of this kind are not for receivers, or there is no such session */
  deliver(nowMs: TimeMs, number: number, from: Address, message: Message): boolean {
    const session = this.sessions.find(number);
    if (session === undefined) return false;
    let isGood = true;
    this.contain(nowMs, number, () => {
      isGood = session.handleMessage(nowMs, from, message);
      session.flush(nowMs);
    });
    if (session.isOver) this.sessions.delete(number);
    return isGood;
  }

  /** Fails a session without a further message. What has arrived is kept. */
  abandon(nowMs: TimeMs, number: number, reason: string): void {
    const session = this.sessions.find(number);
    if (session === undefined) return;
    this.contain(nowMs, number, () => session.fail(nowMs, reason));
    this.sessions.delete(number);
  }

  // --- Sessions

  /**
   * Handles the data datagrams of one session, which arrived together and start at `offset`.
   * @returns the offset where they end
   */
  handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, offset: number): number {
    const id = readUint32(bytes, offset + sessionField.session);
    const session = this.sessions.find(id);
    if (session === undefined) {
      this.faults.add('no-session', from, bytes.subarray(offset));
      return bytes.length;
    }
    let next = offset;
    try {
      do {
        next = session.handleBlocks(nowMs, from, bytes, next);
      } while (
        isBlockDatagram(bytes, next) &&
        readUint32(bytes, next + sessionField.session) === id
      );
      session.flush(nowMs);
    } catch (error) {
      this.handleInternalError(nowMs, id, error);
      return bytes.length;
    }
    return next;
  }

  private handleProbe(nowMs: TimeMs, packet: ProbePacket, from: Address, bytes: Uint8Array): void {
    const session = this.sessions.find(packet.session);
    if (session === undefined) this.faults.add('no-session', from, bytes);
    else if (!session.handleProbe(nowMs, packet.header, packet.body)) {
      this.faults.add('forged', from, bytes);
    }
    if (session !== undefined) {
      this.contain(nowMs, packet.session, () => session.flush(nowMs));
    }
  }

  private handleControl(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    const isAskers = packet.receiver === askerNumber;
    const session = isAskers ? undefined : this.sessions.find(packet.session);
    if (session === undefined) {
      this.faults.add('no-session', from, bytes);
      return;
    }
    const opened = session.secureChannel.open(packet);
    if (typeof opened === 'string') {
      this.faults.add(opened, from, bytes);
      return;
    }
    this.contain(nowMs, packet.session, () => {
      const message = decodeMessage(opened);
      if (message === undefined || !this.handleMessage(nowMs, session, from, message)) {
        this.faults.add('bad-message', from, bytes);
      }
      session.flush(nowMs);
    });
    if (session.isOver) this.sessions.delete(packet.session);
  }

  /** @returns false if the message is not for this session */
  private handleMessage(
    nowMs: TimeMs,
    session: IncomingSession,
    from: Address,
    message: Message,
  ): boolean {
    if (message.kind === 'offer') {
      // The channel has the number of its session, and so must the offer.
      if (message.session !== session.session) return false;
      this.sessions.replaceOlder(nowMs, session, message);
    }
    return session.handleMessage(nowMs, from, message);
  }
}
