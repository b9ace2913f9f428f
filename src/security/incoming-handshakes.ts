/**
 * The receiver's side of handshakes, up to the proof of the sender's identity. The receiver keeps no state
 * until the sender has proven its address. After that, the number of handshakes is bounded, and so are their
 * memory and their processor time (SESSIONS 3).
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
import type { InvitationProof } from './invitations.js';
import type { ProvenChannel } from './secure-channel.js';
import { SecureChannel } from './secure-channel.js';

export interface IncomingHandshakesOwner {
  send(to: Address, bytes: Uint8Array): void;
  countFault(kind: FaultKind, from: Address, bytes: Uint8Array): void;
}

/** The channel to a host that began a handshake and has proven its key. */
export interface Proven extends ProvenChannel {
  /** The proof that the sender knows the secret of an invitation; undefined if the sender claims none. */
  readonly invitationProof: InvitationProof | undefined;
}

/** A queued handshake datagram. */
interface Request {
  readonly key: string;
  readonly from: Address;
  readonly packet: ChannelPacket;
  readonly bytes: Uint8Array;
}

/** A handshake that has begun. It keeps its slot until it expires, whatever its result. */
interface Slot {
  /** The network of the sender. */
  readonly network: string;
  readonly reply: Uint8Array;
  readonly startedAtMs: TimeMs;
  /** Undefined once a proof has been read, even an invalid one. */
  handshake: Handshake | undefined;
  isRepeated: boolean;
  /** Time at which the reply or the refusal was last sent. */
  answeredAtMs: TimeMs;
  /** The refusal that answers the proof, if any. */
  refusal?: Uint8Array;
}

/** Size of the parsed part of an `open` packet's body; the rest of the body is padding. */
const openBodySizeBytes = cookieSizeBytes + keySizeBytes;

/** Number of random bytes drawn at once. Each random number takes four bytes. */
const lotsSizeBytes = 1024;

/**
 * Delay before expired handshakes are removed, so that they are removed in groups. Waking up for each single
 * handshake would cost more than it saves.
 */
const forgetGrainMs = 100;

/** The cost of checking a bad cookie, as a share of the cost of a handshake. */
const badCookieUnits = 0.1;

export class IncomingHandshakes {
  private readonly cookies: Cookies;
  private readonly hellos: Admission<Request>;
  private readonly opens: Admission<Request>;
  /** Oldest first. */
  private readonly slots = new Map<string, Slot>();
  private readonly countsByNetwork = new Map<string, number>();

  constructor(
    private readonly crypto: SessionCrypto,
    private readonly owner: IncomingHandshakesOwner,
  ) {
    this.cookies = new Cookies(crypto);
    const { waiting, waitMs, hellosPerSec, helloBurst, handshakeBurst } = handshakeLimits;
    const random = createLots(crypto);
    this.hellos = new Admission(
      { waiting, waitMs, perSec: hellosPerSec, burst: helloBurst },
      random,
    );
    const opens = {
      ...{ waiting, waitMs, burst: handshakeBurst },
      // Not measured before it matters, which takes several handshakes at once.
      get perSec() {
        const { handshakesPerSec, handshakeShare } = handshakeLimits;
        return Math.min(handshakesPerSec, (1000 * handshakeShare) / crypto.handshakeCostMs);
      },
    };
    this.opens = new Admission(opens, random);
  }

  /** Number of handshakes that have begun and not expired. */
  get count(): number {
    return this.slots.size;
  }

  /** Number of queued datagrams. */
  get waitingCount(): number {
    return this.hellos.waitingCount + this.opens.waitingCount;
  }

  /**
   * Handles a packet of a handshake. Call `refuse` afterwards if the host that has proven its key is not admitted.
   * @returns the channel to a host that proves its key with this packet, for the first time
   */
  handle(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): Proven | undefined {
    if (packet.kind === 'hello') this.handleHello(nowMs, packet, from, bytes);
    else if (packet.kind === 'open') this.handleOpen(nowMs, packet, from, bytes);
    else if (packet.kind === 'proof') return this.handleProof(nowMs, packet, from, bytes);
    return undefined;
  }

  /** Answers a hello without keeping state for its sender. The answer is no larger than the hello. */
  private handleHello(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): void {
    if (bytes.length < helloSizeBytes) {
      this.owner.countFault('bad-handshake', from, bytes);
      return;
    }
    if (packet.version !== protocolVersion) this.owner.countFault('other-version', from, bytes);
    this.wait(this.hellos, nowMs, packet, from, bytes, 0);
    this.serveHellos(nowMs);
  }

  private handleOpen(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array): void {
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

  /** Reads the first proof of a handshake. @returns undefined if the proof is invalid or repeated */
  private handleProof(
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
    const { keys, remoteKey, hash, payload } = handshake;
    if (keys === undefined || remoteKey === undefined || hash === undefined) return undefined;
    const proves = payload !== undefined && payload.length > 0;
    return {
      invitationProof: proves ? { hash, proof: payload } : undefined,
      channel: new SecureChannel(this.crypto, packet.session, packet.receiver, keys),
      peerKey: remoteKey,
      // If the reply was repeated, the proof could answer any copy (Karn's rule).
      rttMs: slot.isRepeated ? undefined : nowMs - slot.startedAtMs,
    };
  }

  /**
   * Refuses a sender that has proven its key. Each time the sender repeats its proof, the refusal is
   * repeated.
   */
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
    // If no slot is free, `open` packets wait until the oldest handshake expires.
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
    // The receive buffer is reused, so the datagram is copied, but without its padding.
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

  /**
   * Begins a handshake.
   * @returns the work done; 1 is the work of a whole handshake
   */
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

  /**
   * Repeats an answer at a limited rate, so that copies of a packet that arrive together get only one answer.
   */
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

/** Creates a source of unpredictable numbers. It draws them in bulk, because one draw costs more than a datagram. */
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
