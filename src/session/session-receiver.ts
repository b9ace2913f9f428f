/**
 * A host that takes sessions, many at once and from many senders (SESSIONS 3): lets in whom it trusts,
 * within its limits, and hands each session its datagrams.
 */
import type { Address } from '../address.js';
import { formatAddress } from '../address.js';
import { FaultLog } from '../faults.js';
import type { Machine, TimeMs, Transmit } from '../machine.js';
import { stoppedTimeMs } from '../machine.js';
import { readUint32 } from '../network-order.js';
import { Queue } from '../queue.js';
import { MemoryBudget } from './assembly.js';
import { isEqualBytes } from './byte-codec.js';
import { Cookies } from './cookies.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import type { Platform } from './entry-name.js';
import type {
  IncomingStatus,
  SessionReceiverEvent,
  SessionReceiverResult,
} from './incoming-events.js';
import { IncomingSession } from './incoming-session.js';
import { decodeMessage, encodeMessage } from './messages.js';
import { SecureChannel } from './secure-channel.js';
import { protocolVersion, receiverLimits } from './session-config.js';
import { cookieSizeBytes, handshakePrologue, helloSizeBytes } from './session-opening.js';
import type { ChannelPacket, ProbePacket } from './session-packet.js';
import {
  channelDatagramSize,
  decodeSession,
  describeSession,
  encodeChannelPacket,
  isBlockDatagram,
  sessionField,
} from './session-packet.js';

export interface SessionReceiverOptions {
  readonly crypto: SessionCrypto;
  /** What this receiver calls itself. */
  readonly name: string;
  /** Whose rules the names of files must meet. */
  readonly platform: Platform;
  /** @returns why a sender is not let in; undefined for one that is trusted */
  readonly refuseSender: (senderKey: Uint8Array) => string | undefined;
  readonly maxSessions?: number;
  /** Of one object. */
  readonly maxContentBytes?: number;
  /** Of all sessions: blocks being put together, and not yet written. */
  readonly bufferBytes?: number;
  readonly idleMs?: number;
}

interface PendingHandshake {
  /** Who began it. */
  readonly host: string;
  readonly handshake: Handshake;
  readonly reply: Uint8Array;
  readonly startedAtMs: TimeMs;
  /** The reply was sent more than once: which one the proof answers cannot be told (Karn's rule). */
  isRepeated: boolean;
  /** The answer to its proof, where that is a refusal. */
  refusal?: Uint8Array;
}

export class SessionReceiver implements Machine<SessionReceiverEvent> {
  private readonly crypto: SessionCrypto;
  private readonly cookies: Cookies;
  private readonly budget: MemoryBudget;
  private readonly maxSessions: number;
  private readonly handshakes = new Map<string, PendingHandshake>();
  private readonly sessions = new Map<number, IncomingSession>();
  private readonly transmits = new Queue<Transmit>();
  private readonly events = new Queue<SessionReceiverEvent>();
  private readonly faults = new FaultLog((event) => this.events.push(event), describeSession);
  private readonly counts = { complete: 0, failed: 0, refused: 0 };
  private isDraining = false;
  /** When the input came that is being handled. */
  private inputAtMs: TimeMs = 0;

  constructor(private readonly options: SessionReceiverOptions) {
    this.crypto = options.crypto;
    this.cookies = new Cookies(options.crypto);
    this.budget = new MemoryBudget(options.bufferBytes ?? receiverLimits.bufferBytes);
    this.maxSessions = options.maxSessions ?? receiverLimits.sessions;
  }

  /** Sessions whose outcome is not known yet. */
  get activeCount(): number {
    let count = 0;
    for (const session of this.sessions.values()) if (!session.isSettled) count++;
    return count;
  }

  /** Whether nothing is left to tell to any sender. */
  get isIdle(): boolean {
    for (const session of this.sessions.values()) if (!session.isOver) return false;
    return true;
  }

  get bufferedBytes(): number {
    return this.budget.usedBytes;
  }

  /** Takes no further sessions; those that there are go on. */
  drain(): void {
    this.isDraining = true;
  }

  /** Gives up every session: what has come stays for a resume. */
  abort(nowMs: TimeMs, reason: string): void {
    this.drain();
    for (const session of this.sessions.values()) session.fail(nowMs, reason);
  }

  /** The session, for what the shell has to say to it; undefined once it is over. */
  find(session: number): IncomingSession | undefined {
    return this.sessions.get(session);
  }

  /** Bytes of a `write` are where they belong, or not needed any more. */
  handleWritten(nowMs: TimeMs, session: number, sizeBytes: number): void {
    this.budget.usedBytes -= sizeBytes;
    this.sessions.get(session)?.handleWritten(nowMs, sizeBytes);
  }

  statuses(nowMs: TimeMs): IncomingStatus[] {
    const statuses: IncomingStatus[] = [];
    for (const session of this.sessions.values()) {
      const status = session.isSettled ? undefined : session.status(nowMs);
      if (status !== undefined) statuses.push(status);
    }
    return statuses;
  }

  result(): SessionReceiverResult {
    return { ...this.counts, faults: this.faults.toCounts() };
  }

  /** @param bytes one datagram, or several from one sender that came together */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.inputAtMs = nowMs;
    let offset = 0;
    do {
      if (isBlockDatagram(bytes, offset)) {
        offset = this.handleBlocks(nowMs, from, bytes, offset);
      } else {
        const end = offset + channelDatagramSize(bytes, offset);
        this.handleSingle(nowMs, from, bytes.subarray(offset, end));
        offset = end;
      }
    } while (offset < bytes.length);
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
        this.handleHello(nowMs, packet, from, bytes);
        break;
      case 'open':
        this.handleOpen(nowMs, packet, from, bytes);
        break;
      case 'proof':
        this.handleProof(nowMs, packet, from, bytes);
        break;
      default:
        this.faults.add('wrong-direction', from, bytes);
    }
  }

  handleTimeout(nowMs: TimeMs): void {
    const stoppedMs = stoppedTimeMs(nowMs, this.pollTimeout() ?? nowMs);
    for (const [id, session] of this.sessions) {
      session.handleTimeout(nowMs, stoppedMs);
      if (session.isOver) this.sessions.delete(id);
    }
    for (const [key, { startedAtMs }] of this.handshakes) {
      if (nowMs >= startedAtMs + receiverLimits.handshakeMs) this.handshakes.delete(key);
    }
  }

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  pollTimeout(): TimeMs | undefined {
    let earliestMs = Infinity;
    for (const session of this.sessions.values()) {
      earliestMs = Math.min(earliestMs, session.pollTimeout());
    }
    for (const { startedAtMs } of this.handshakes.values()) {
      earliestMs = Math.min(earliestMs, startedAtMs + receiverLimits.handshakeMs);
      // The first is the oldest.
      break;
    }
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  pollEvent(): SessionReceiverEvent | undefined {
    return this.events.shift();
  }

  // --- Opening

  /** Answers without keeping anything, and not at greater length than it was asked. */
  private handleHello(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array) {
    if (bytes.length < helloSizeBytes) {
      this.faults.add('bad-handshake', from, bytes);
      return;
    }
    if (packet.version !== protocolVersion) this.faults.add('other-version', from, bytes);
    this.answer('cookie', packet, from, this.cookies.bake(nowMs, from, packet));
  }

  private handleOpen(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array) {
    const cookie = packet.body.subarray(0, cookieSizeBytes);
    if (!this.cookies.isGood(nowMs, from, packet, cookie)) {
      this.faults.add('bad-cookie', from, bytes);
      return;
    }
    const key = handshakeKey(from, packet);
    const known = this.handshakes.get(key);
    if (known !== undefined) {
      known.isRepeated = true;
      this.transmits.push({ to: from, bytes: known.reply });
      return;
    }
    if (!this.hasRoomForHandshake(from)) {
      this.faults.add('no-room', from, bytes);
      return;
    }
    const prologue = handshakePrologue(packet.session, packet.receiver);
    const handshake = this.crypto.startHandshake('responder', prologue);
    if (!handshake.read(packet.body.subarray(cookieSizeBytes))) {
      this.faults.add('bad-handshake', from, bytes);
      return;
    }
    const { session, receiver, counter } = packet;
    const reply = encodeChannelPacket('reply', session, receiver, counter, handshake.write());
    this.handshakes.set(key, {
      host: from.host,
      handshake,
      reply,
      startedAtMs: nowMs,
      isRepeated: false,
    });
    this.transmits.push({ to: from, bytes: reply });
  }

  /** Nobody can take all the room for handshakes. */
  private hasRoomForHandshake(from: Address): boolean {
    if (this.handshakes.size >= receiverLimits.handshakes) return false;
    let count = 0;
    for (const { host } of this.handshakes.values()) if (host === from.host) count++;
    return count < receiverLimits.handshakesPerHost;
  }

  private handleProof(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array) {
    const key = handshakeKey(from, packet);
    const pending = this.handshakes.get(key);
    // Of a proof that comes again, the handshake is over.
    if (pending === undefined) return;
    if (pending.refusal !== undefined) {
      this.transmits.push({ to: from, bytes: pending.refusal });
      return;
    }
    const { handshake } = pending;
    if (!handshake.read(packet.body)) {
      this.handshakes.delete(key);
      this.faults.add('bad-handshake', from, bytes);
      return;
    }
    const { keys, remoteKey } = handshake;
    if (keys === undefined || remoteKey === undefined) return;
    const channel = new SecureChannel(this.crypto, packet.session, packet.receiver, keys);
    const known = this.sessions.get(packet.session);
    if (known !== undefined) {
      this.handshakes.delete(key);
      if (isEqualBytes(known.senderKey, remoteKey)) known.rechannel(nowMs, channel, from);
      else this.faults.add('bad-handshake', from, bytes);
      return;
    }
    const distrust = this.options.refuseSender(remoteKey);
    const refusal = distrust ?? this.refuseForRoom();
    if (refusal !== undefined) {
      this.faults.add(distrust === undefined ? 'no-room' : 'untrusted', from, bytes);
      pending.refusal = channel.seal(encodeMessage({ kind: 'refuse', reason: refusal }));
      this.transmits.push({ to: from, bytes: pending.refusal });
      return;
    }
    this.handshakes.delete(key);
    if (this.sessions.size >= 2 * this.maxSessions) this.forgetOldestSettled();
    const rttMs = pending.isRepeated ? undefined : nowMs - pending.startedAtMs;
    const session = this.createSession(nowMs, channel, remoteKey, from, rttMs);
    this.sessions.set(packet.session, session);
  }

  /** Its sender may not have heard its outcome, and asks anew. Nobody fills the memory with what is over. */
  private forgetOldestSettled(): void {
    for (const [id, { isSettled }] of this.sessions) {
      if (!isSettled) continue;
      this.sessions.delete(id);
      return;
    }
  }

  private refuseForRoom(): string | undefined {
    if (this.isDraining) return 'this receiver is going down; try again later';
    if (this.activeCount < this.maxSessions) return undefined;
    return `busy with ${this.maxSessions} sessions; try again later`;
  }

  private createSession(
    nowMs: TimeMs,
    channel: SecureChannel,
    senderKey: Uint8Array,
    from: Address,
    rttMs: number | undefined,
  ): IncomingSession {
    const { name, platform, maxContentBytes = Infinity } = this.options;
    const session = new IncomingSession(
      {
        crypto: this.crypto,
        platform,
        name,
        maxContentBytes,
        idleMs: this.options.idleMs ?? receiverLimits.idleMs,
        budget: this.budget,
        shareBytes: () => this.budget.limitBytes / Math.max(1, this.activeCount),
        emit: (event) => this.handleEvent(session, event),
        send: (to, bytes) => this.transmits.push({ to, bytes }),
        countFault: (kind, address, bytes, count) => this.faults.add(kind, address, bytes, count),
      },
      channel,
      senderKey,
      from,
      nowMs,
      rttMs,
    );
    return session;
  }

  private handleEvent(session: IncomingSession, event: SessionReceiverEvent): void {
    if (event.type === 'offer') this.replaceOlder(session);
    if (event.type === 'end') this.counts[event.result.status]++;
    this.events.push(event);
  }

  /**
   * One object goes into one part: a sender that was killed and started again does not wait until its
   * old session is given up. Another one waits for the first, which must not be silent meanwhile.
   */
  private replaceOlder(session: IncomingSession): void {
    for (const other of this.sessions.values()) {
      if (other === session || other.objectId !== session.objectId) continue;
      if (isEqualBytes(other.senderKey, session.senderKey)) {
        other.fail(this.inputAtMs, 'its sender has begun anew');
      } else {
        other.limitSilence(receiverLimits.awaitedIdleMs);
      }
    }
  }

  private answer(
    kind: ChannelPacket['kind'],
    { session, receiver, counter }: ChannelPacket,
    to: Address,
    body: Uint8Array,
  ): void {
    this.transmits.push({
      to,
      bytes: encodeChannelPacket(kind, session, receiver, counter, body),
    });
  }

  // --- Sessions

  /** Takes the data of one session from `offset` on, as much as came together. @returns where it ends */
  private handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, offset: number): number {
    const id = readUint32(bytes, offset + sessionField.session);
    const session = this.sessions.get(id);
    if (session === undefined) {
      this.faults.add('no-session', from, bytes.subarray(offset));
      return bytes.length;
    }
    let next = offset;
    do {
      next = session.handleBlocks(nowMs, from, bytes, next);
    } while (isBlockDatagram(bytes, next) && readUint32(bytes, next + sessionField.session) === id);
    session.flush(nowMs);
    return next;
  }

  private handleProbe(nowMs: TimeMs, packet: ProbePacket, from: Address, bytes: Uint8Array): void {
    const session = this.sessions.get(packet.session);
    if (session === undefined) this.faults.add('no-session', from, bytes);
    else if (!session.handleProbe(nowMs, packet.header, packet.body)) {
      this.faults.add('forged', from, bytes);
    }
    session?.flush(nowMs);
  }

  private handleControl(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    const session = this.sessions.get(packet.session);
    if (session === undefined) {
      this.faults.add('no-session', from, bytes);
      return;
    }
    const opened = session.secureChannel.open(packet);
    if (typeof opened === 'string') {
      this.faults.add(opened, from, bytes);
      return;
    }
    const message = decodeMessage(opened);
    if (message === undefined || !session.handleMessage(nowMs, from, message)) {
      this.faults.add('bad-message', from, bytes);
    }
    session.flush(nowMs);
    if (session.isOver) this.sessions.delete(packet.session);
  }
}

function handshakeKey(from: Address, { session, receiver, counter }: ChannelPacket): string {
  return `${formatAddress(from)} ${session} ${receiver} ${counter}`;
}
