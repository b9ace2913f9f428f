/**
 * Openings of sessions at a receiver, up to the proof of who the sender is: answered without keeping anything
 * until an address is proven, and bounded in number from then on (SESSIONS 3).
 */
import type { Address } from '../address.js';
import { formatAddress } from '../address.js';
import type { FaultKind } from '../faults.js';
import type { TimeMs } from '../machine.js';
import { Cookies } from './cookies.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { SecureChannel } from './secure-channel.js';
import { protocolVersion, receiverLimits } from './session-config.js';
import { cookieSizeBytes, handshakePrologue, helloSizeBytes } from './session-opening.js';
import type { ChannelPacket } from './session-packet.js';
import { encodeChannelPacket } from './session-packet.js';

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

interface PendingHandshake {
  /** Who began it. */
  readonly host: string;
  readonly handshake: Handshake;
  readonly reply: Uint8Array;
  readonly startedAtMs: TimeMs;
  isRepeated: boolean;
  /** The answer to its proof, where that is a refusal. */
  refusal?: Uint8Array;
}

export class IncomingHandshakes {
  private readonly cookies: Cookies;
  /** The first is the oldest. */
  private readonly pending = new Map<string, PendingHandshake>();
  private readonly countsByHost = new Map<string, number>();

  constructor(
    private readonly crypto: SessionCrypto,
    private readonly owner: IncomingHandshakesOwner,
  ) {
    this.cookies = new Cookies(crypto);
  }

  /** Those that wait for a proof. */
  get count(): number {
    return this.pending.size;
  }

  /** Answers without keeping anything, and not at greater length than it was asked. */
  handleHello(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array): void {
    if (bytes.length < helloSizeBytes) {
      this.owner.countFault('bad-handshake', from, bytes);
      return;
    }
    if (packet.version !== protocolVersion) this.owner.countFault('other-version', from, bytes);
    const { session, receiver, counter } = packet;
    const cookie = this.cookies.bake(nowMs, from, packet);
    this.owner.send(from, encodeChannelPacket('cookie', session, receiver, counter, cookie));
  }

  handleOpen(nowMs: TimeMs, packet: ChannelPacket, from: Address, bytes: Uint8Array): void {
    const key = keyOf(from, packet);
    const known = this.pending.get(key);
    // First what costs nothing: in a flood of openings that is what most come to.
    if (known === undefined && !this.hasRoom(from)) {
      this.owner.countFault('no-room', from, bytes);
      return;
    }
    const cookie = packet.body.subarray(0, cookieSizeBytes);
    if (!this.cookies.isGood(nowMs, from, packet, cookie)) {
      this.owner.countFault('bad-cookie', from, bytes);
      return;
    }
    if (known !== undefined) {
      known.isRepeated = true;
      this.owner.send(from, known.reply);
      return;
    }
    const { session, receiver, counter } = packet;
    const prologue = handshakePrologue(session, receiver);
    const handshake = this.crypto.startHandshake('responder', prologue);
    if (!handshake.read(packet.body.subarray(cookieSizeBytes))) {
      this.owner.countFault('bad-handshake', from, bytes);
      return;
    }
    const reply = encodeChannelPacket('reply', session, receiver, counter, handshake.write());
    const { host } = from;
    this.pending.set(key, { host, handshake, reply, startedAtMs: nowMs, isRepeated: false });
    this.countsByHost.set(host, (this.countsByHost.get(host) ?? 0) + 1);
    this.owner.send(from, reply);
  }

  /**
   * Either `end` or `refuse` is to follow.
   * @returns undefined where nothing new is proven
   */
  handleProof(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: Address,
    bytes: Uint8Array,
  ): Proven | undefined {
    const key = keyOf(from, packet);
    const pending = this.pending.get(key);
    // Of a proof that comes again, the handshake is over.
    if (pending === undefined) return undefined;
    const { refusal, handshake } = pending;
    if (refusal !== undefined) {
      this.owner.send(from, refusal);
      return undefined;
    }
    if (!handshake.read(packet.body)) {
      this.forget(key);
      this.owner.countFault('bad-handshake', from, bytes);
      return undefined;
    }
    const { keys, remoteKey } = handshake;
    if (keys === undefined || remoteKey === undefined) return undefined;
    return {
      channel: new SecureChannel(this.crypto, packet.session, packet.receiver, keys),
      senderKey: remoteKey,
      rttMs: pending.isRepeated ? undefined : nowMs - pending.startedAtMs,
    };
  }

  /** What was proven is taken over. */
  end(packet: ChannelPacket, from: Address): void {
    this.forget(keyOf(from, packet));
  }

  /** Whoever was proven is not let in, and told so as often as it asks. */
  refuse(packet: ChannelPacket, from: Address, refusal: Uint8Array): void {
    const pending = this.pending.get(keyOf(from, packet));
    if (pending !== undefined) pending.refusal = refusal;
    this.owner.send(from, refusal);
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const [key, { startedAtMs }] of this.pending) {
      if (nowMs >= startedAtMs + receiverLimits.handshakeMs) this.forget(key);
    }
  }

  pollTimeout(): TimeMs {
    for (const { startedAtMs } of this.pending.values()) {
      return startedAtMs + receiverLimits.handshakeMs;
    }
    return Infinity;
  }

  /** Nobody can take all the room. */
  private hasRoom({ host }: Address): boolean {
    if (this.pending.size >= receiverLimits.handshakes) return false;
    return (this.countsByHost.get(host) ?? 0) < receiverLimits.handshakesPerHost;
  }

  private forget(key: string): void {
    const host = this.pending.get(key)?.host;
    if (host === undefined) return;
    this.pending.delete(key);
    const count = (this.countsByHost.get(host) ?? 0) - 1;
    if (count > 0) this.countsByHost.set(host, count);
    else this.countsByHost.delete(host);
  }
}

function keyOf(from: Address, { session, receiver, counter }: ChannelPacket): string {
  return `${formatAddress(from)} ${session} ${receiver} ${counter}`;
}
