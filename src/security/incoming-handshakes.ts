/**
 * Openings of sessions at a receiver, up to the proof of who the sender is: answered without keeping anything
 * until an address is proven, and bounded from then on in number, in memory and in time (SESSIONS 3).
 */
import type { Address } from '../base/address.js';
import { formatAddress, networkOf } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import type { Random } from '../base/random.js';
import type { FaultKind } from '../wire/faults.js';
import type { ChannelPacket } from '../wire/header.js';
import { encodeChannelPacket, protocolVersion, sessionHeaderSizeBytes } from '../wire/header.js';
import { keySizeBytes } from '../wire/sizes.js';
import { Admission } from './admission.js';
import { Cookies } from './cookies.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { cookieSizeBytes, handshakePrologue, helloSizeBytes } from './handshake.js';
import { handshakeLimits } from './handshake-limits.js';
import { SecureChannel } from './secure-channel.js';

export interface IncomingHandshakesOwner {
  send(to: Address, bytes: Uint8Array): void;
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
}

/** A sender that has shown its key. */
export interface Proven {
  readonly channel: SecureChannel;
  readonly senderKey: Uint8Array;
  /** Undefined where a reply was repeated: which one the proof answers cannot be told (Karn's rule). */
  readonly rttMs: number | undefined;
}

/** A datagram of an opening that waits to be answered. */
interface Request {
  readonly key: string;
  readonly from: Address;
  readonly packet: ChannelPacket;
  readonly bytes: Uint8Array;
}

/** A handshake that was begun. It keeps its place until its time is over, whatever becomes of it. */
interface Slot {
  /** Who began it. */
  readonly network: string;
  readonly reply: Uint8Array;
  readonly startedAtMs: TimeMs;
  /** Until a proof was read, good or bad. */
  handshake: Handshake | undefined;
  isRepeated: boolean;
  /** When its reply or refusal was sent last. */
  answeredAtMs: TimeMs;
  /** The answer to its proof, where that is a refusal. */
  refusal?: Uint8Array;
}

/** What comes after the padding's beginning is not looked at. */
const openBodySizeBytes = cookieSizeBytes + keySizeBytes;

/** Of the lots that are drawn at once, four for each. */
const lotsSizeBytes = 1024;

/** Handshakes whose time is over are forgotten together: to wake up for each one costs more than it does. */
const forgetGrainMs = 100;

/** To look at a bad cookie, as a part of a handshake's work. */
const badCookieUnits = 0.1;

export class IncomingHandshakes {
  private readonly cookies: Cookies;
  private readonly hellos: Admission<Request>;
  private readonly opens: Admission<Request>;
  /** The first is the oldest. */
  private readonly slots = new Map<string, Slot>();
  private readonly countsByNetwork = new Map<string, number>();

  constructor(
    private readonly crypto: SessionCrypto,
    private readonly owner: IncomingHandshakesOwner,
  ) {
    this.cookies = new Cookies(crypto);
    const { waiting, waitMs, hellosPerSec, helloBurst, handshakeBurst } = handshakeLimits;
    const { handshakesPerSec, handshakeShare } = handshakeLimits;
    const affordablePerSec = (1000 * handshakeShare) / crypto.handshakeCostMs;
    const perSec = Math.min(handshakesPerSec, affordablePerSec);
    const random = createLots(crypto);
    this.hellos = new Admission(
      { waiting, waitMs, perSec: hellosPerSec, burst: helloBurst },
      random,
    );
    this.opens = new Admission({ waiting, waitMs, perSec, burst: handshakeBurst }, random);
  }

  /** Those that were begun, and whose time is not over. */
  get count(): number {
    return this.slots.size;
  }

  /** Datagrams that wait for an answer. */
  get waitingCount(): number {
    return this.hellos.waitingCount + this.opens.waitingCount;
  }

  /** Answers without keeping anything, and not at greater length than it was asked. */
  handleHello(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array): void {
    if (bytes.length < helloSizeBytes) {
      this.owner.countFault('bad-handshake', from, bytes);
      return;
    }
    if (packet.version !== protocolVersion) this.owner.countFault('other-version', from, bytes);
    this.wait(this.hellos, nowMs, packet, from, bytes, 0);
    this.serveHellos(nowMs);
  }

  handleOpen(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array): void {
    const slot = this.slots.get(keyOf(from, packet));
    if (slot === undefined) {
      const held = this.countsByNetwork.get(networkOf(from.host)) ?? 0;
      this.wait(this.opens, nowMs, packet, from, bytes, held);
      this.serveOpens(nowMs);
    } else {
      slot.isRepeated = true;
      this.answerAgain(nowMs, slot, from, slot.reply);
    }
  }

  /**
   * Of each handshake one proof is read. `refuse` is to follow where its sender is not let in.
   * @returns undefined where nothing new is proven
   */
  handleProof(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): Proven | undefined {
    const slot = this.slots.get(keyOf(from, packet));
    if (slot === undefined) return undefined;
    const { refusal, handshake } = slot;
    if (refusal !== undefined) this.answerAgain(nowMs, slot, from, refusal);
    if (handshake === undefined) return undefined;
    slot.handshake = undefined;
    if (!handshake.read(packet.body)) {
      this.owner.countFault('bad-handshake', from, bytes);
      return undefined;
    }
    const { keys, remoteKey } = handshake;
    if (keys === undefined || remoteKey === undefined) return undefined;
    return {
      channel: new SecureChannel(this.crypto, packet.session, packet.receiver, keys),
      senderKey: remoteKey,
      rttMs: slot.isRepeated ? undefined : nowMs - slot.startedAtMs,
    };
  }

  /** Whoever was proven is not let in, and told so as often as it asks. */
  refuse(nowMs: TimeMs, packet: ChannelPacket, from: Address, refusal: Uint8Array): void {
    const slot = this.slots.get(keyOf(from, packet));
    if (slot !== undefined) {
      slot.refusal = refusal;
      slot.answeredAtMs = nowMs;
    }
    this.owner.send(from, refusal);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.forgetOver(nowMs);
    this.serveHellos(nowMs);
    this.serveOpens(nowMs);
  }

  pollTimeout(): TimeMs {
    const servedAtMs = Math.min(this.hellos.pollTimeout(), this.opensDueAtMs);
    return Math.min(servedAtMs, this.oldestEndsAtMs);
  }

  private get oldestEndsAtMs(): TimeMs {
    for (const { startedAtMs } of this.slots.values()) {
      return startedAtMs + handshakeLimits.handshakeMs + forgetGrainMs;
    }
    return Infinity;
  }

  private get opensDueAtMs(): TimeMs {
    // Without a free place, the end of the oldest handshake is what they wait for.
    return this.hasRoom ? this.opens.pollTimeout() : Infinity;
  }

  private get hasRoom(): boolean {
    return this.slots.size < handshakeLimits.handshakes;
  }

  private wait(
    queue: Admission<Request>,
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
    held: number,
  ): void {
    const rank = queue.draw(bytes.length, held);
    if (rank === undefined) {
      this.owner.countFault('no-room', from, bytes);
      return;
    }
    const key = keyOf(from, packet);
    // The memory that it came in is used again; of padding nothing is kept.
    const copy = bytes.slice(0, sessionHeaderSizeBytes + openBodySizeBytes);
    const body = copy.subarray(sessionHeaderSizeBytes);
    const request = { key, from, bytes: copy, packet: { ...packet, header: copy, body } };
    const dropped = queue.add(nowMs, key, request, rank);
    if (dropped !== undefined) this.owner.countFault('no-room', dropped.from, dropped.bytes);
  }

  private serveHellos(nowMs: TimeMs): void {
    for (let next = this.hellos.next(nowMs); next !== undefined; next = this.hellos.next(nowMs)) {
      this.hellos.spend(1);
      const { packet, from } = next;
      const { session, receiver, counter } = packet;
      const cookie = this.cookies.bake(nowMs, from, packet);
      this.owner.send(from, encodeChannelPacket('cookie', session, receiver, counter, cookie));
    }
  }

  private serveOpens(nowMs: TimeMs): void {
    if (!this.hasRoom) this.forgetOver(nowMs);
    while (this.hasRoom) {
      const next = this.opens.next(nowMs);
      if (next === undefined) return;
      this.opens.spend(this.begin(nowMs, next));
    }
  }

  /** Begins a handshake. @returns how much work that was, in handshakes */
  private begin(nowMs: TimeMs, { key, from, packet, bytes }: Request): number {
    const cookie = packet.body.subarray(0, cookieSizeBytes);
    if (!this.cookies.isGood(nowMs, from, packet, cookie)) {
      this.owner.countFault('bad-cookie', from, bytes);
      return badCookieUnits;
    }
    const { session, receiver, counter } = packet;
    const prologue = handshakePrologue(session, receiver);
    const handshake = this.crypto.startHandshake('responder', prologue);
    if (!handshake.read(packet.body.subarray(cookieSizeBytes))) {
      this.owner.countFault('bad-handshake', from, bytes);
      return 1;
    }
    const reply = encodeChannelPacket('reply', session, receiver, counter, handshake.write());
    const network = networkOf(from.host);
    const times = { startedAtMs: nowMs, answeredAtMs: nowMs };
    this.slots.set(key, { network, handshake, reply, ...times, isRepeated: false });
    this.countsByNetwork.set(network, (this.countsByNetwork.get(network) ?? 0) + 1);
    this.owner.send(from, reply);
    return 1;
  }

  /** Nobody draws a stream of answers: copies that come together get one. */
  private answerAgain(nowMs: TimeMs, slot: Slot, to: Address, answer: Uint8Array): void {
    if (nowMs - slot.answeredAtMs < handshakeLimits.repeatMs) return;
    slot.answeredAtMs = nowMs;
    this.owner.send(to, answer);
  }

  private forgetOver(nowMs: TimeMs): void {
    for (const [key, slot] of this.slots) {
      if (nowMs < slot.startedAtMs + handshakeLimits.handshakeMs) return;
      this.forget(key, slot);
    }
  }

  private forget(key: string, { network }: Slot): void {
    this.slots.delete(key);
    const count = (this.countsByNetwork.get(network) ?? 0) - 1;
    if (count > 0) this.countsByNetwork.set(network, count);
    else this.countsByNetwork.delete(network);
  }
}

function keyOf(from: Address, { session, receiver, counter }: ChannelPacket): string {
  return `${formatAddress(from)} ${session} ${receiver} ${counter}`;
}

/** Numbers that nobody foresees, drawn many at once: one by one they cost more than a datagram does. */
function createLots(crypto: SessionCrypto): Random {
  let bytes = new Uint8Array(0);
  let offset = 0;
  return () => {
    if (offset === bytes.length) {
      bytes = Uint8Array.from(crypto.random(lotsSizeBytes));
      offset = 0;
    }
    const number = readUint32(bytes, offset);
    offset += 4;
    return number / 2 ** 32;
  };
}
