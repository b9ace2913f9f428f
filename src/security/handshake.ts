/**
 * The sender's side of the handshake with one receiver (SESSIONS 3). The sender sends a hello, gets a cookie,
 * and then begins a Noise handshake. It repeats each packet until the receiver answers.
 *
 * A hello is as large as the largest data datagram, so an answer shows that the path carries datagrams of
 * that size (SESSIONS 3.11). The sender accompanies each repeated hello with a small hello. If only the small
 * hello is answered, the receiver is reachable, but the large hello might exceed the path MTU.
 */
import { assert } from '../base/assert.js';
import { readUint32 } from '../base/network-order.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { ChannelPacket } from '../wire/header.js';
import { encodeChannelPacket, protocolVersion, sessionHeaderSizeBytes } from '../wire/header.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { proveInvitation } from './invitations.js';
import { SecureChannel } from './secure-channel.js';

/** Minimum size of a hello. No answer to a hello is larger. */
export const helloSizeBytes = 64;

/**
 * If this many small hellos, but no large hello, have been answered, the large hellos probably (`suspected`)
 * or certainly (`certain`) exceed the path MTU. With 30 % loss in each direction, one handshake in 450 raises
 * a false suspicion, which costs little because the session has not begun.
 */
export const narrowPathAnswers = { suspected: 5, certain: 20 } as const;
export const cookieSizeBytes = 32;

/** Maximum number of copies of an `open` or `proof` packet that are sent at once. */
export const maxOpenCopies = 8;

/** The handshake prologue: version, session, and the sender's number for the receiver. */
export function handshakePrologue(session: number, receiver: number): Uint8Array {
  return new TextEncoder().encode(`p2mp ${protocolVersion} ${session} ${receiver}`);
}

export type HandshakeStage =
  /** Waiting for a cookie. */
  | 'hello'
  /** Waiting for the receiver's handshake message. */
  | 'open'
  /** Waiting for approval of the receiver's key. */
  | 'trust'
  /** The handshake is complete on this side. */
  | 'proof';

/**
 * The effect of an answer on the handshake: the next stage, a fault, or nothing because the answer is a
 * repetition.
 */
export type HandshakeOutcome =
  | 'advanced'
  /** Only a small hello was answered. The receiver is reachable. */
  | 'small-only'
  | 'late'
  | 'other-version'
  | 'bad-handshake';

export class OutgoingHandshake {
  stage: HandshakeStage = 'hello';
  channel: SecureChannel | undefined;
  /** The datagram to repeat; undefined while the receiver's key waits for approval. */
  datagram: Uint8Array | undefined;
  /** Number of small hellos that were answered before any large hello was answered. */
  smallAnswers = 0;
  private readonly nonce: number;
  /** The nonce of small hellos. An answer that repeats this nonce answers a small hello. */
  private readonly smallNonce: number;
  private readonly smallHello: Uint8Array;
  private hellosSent = 0;
  /** Number of copies of the `open` packet to send next time. */
  private openCopies = 1;
  private readonly noise: Handshake;

  /** @param fullSizeBytes the size of the largest datagram for this receiver */
  constructor(
    private readonly crypto: SessionCrypto,
    private readonly session: number,
    private readonly receiver: number,
    private readonly fullSizeBytes: number = helloSizeBytes,
  ) {
    this.nonce = readUint32(crypto.random(4), 0);
    this.smallNonce = (this.nonce ^ 1) >>> 0;
    this.noise = crypto.startHandshake('initiator', handshakePrologue(session, receiver));
    this.createChannel = (keys) => new SecureChannel(crypto, session, receiver, keys);
    this.datagram = this.encodeHello(this.nonce, Math.max(fullSizeBytes, helloSizeBytes));
    this.smallHello = this.encodeHello(this.smallNonce, helloSizeBytes);
  }

  private readonly createChannel: (keys: NonNullable<Handshake['keys']>) => SecureChannel;

  /** The receiver's static key, which it has shown by stage `trust`. */
  get shownKey(): Uint8Array {
    const { remoteKey } = this.noise;
    assert(remoteKey !== undefined, 'the receiver has shown its key');
    return remoteKey;
  }

  /** Whether the receiver has shown this key. */
  hasShown(key: Uint8Array | undefined): boolean {
    return key !== undefined && isEqualBytes(key, this.shownKey);
  }

  /** Whether some small hellos have been answered, but too few to suspect that the path MTU is exceeded. */
  get isBeingProbed(): boolean {
    const { stage, smallAnswers } = this;
    return stage === 'hello' && smallAnswers > 0 && smallAnswers < narrowPathAnswers.suspected;
  }

  /**
   * The datagrams to send now. The first hello is sent alone, and each later hello with a small hello. Each
   * time an `open` packet is repeated, the number of its copies doubles, because a flooded receiver serves
   * requests chosen at random.
   */
  nextDatagrams(): readonly Uint8Array[] {
    if (this.datagram === undefined) return [];
    if (this.stage === 'open') {
      const copies = this.openCopies;
      this.openCopies = Math.min(2 * copies, maxOpenCopies);
      return new Array<Uint8Array>(copies).fill(this.datagram);
    }
    if (this.stage !== 'hello') return [this.datagram];
    this.hellosSent++;
    return this.hellosSent === 1 ? [this.datagram] : [this.datagram, this.smallHello];
  }

  /** Number of hellos so far, without the small ones. */
  get helloCount(): number {
    return this.hellosSent;
  }

  /** Whether this is the cookie that the handshake waits for. */
  isCookie({ kind, counter, version, body }: ChannelPacket): boolean {
    const isAnswer = kind === 'cookie' && this.stage === 'hello' && counter === this.nonce;
    return isAnswer && version === protocolVersion && body.length === cookieSizeBytes;
  }

  handle(packet: ChannelPacket): HandshakeOutcome {
    // An answer without the nonce comes from someone who has not seen the hello.
    const isSmall = packet.counter === this.smallNonce && this.hellosSent > 1;
    if (packet.counter !== this.nonce && !isSmall) return 'late';
    if (packet.version !== protocolVersion) return 'other-version';
    if (isSmall) return this.handleSmall(packet);
    if (packet.kind === 'cookie' && this.stage === 'hello') {
      if (packet.body.length !== cookieSizeBytes) return 'bad-handshake';
      const first = this.noise.write();
      // An `open` packet is as large as a hello: a flooded receiver prefers large requests (SESSIONS 3.14).
      const sizeBytes = Math.max(this.fullSizeBytes - sessionHeaderSizeBytes, 0);
      const body = new Uint8Array(Math.max(cookieSizeBytes + first.length, sizeBytes));
      body.set(packet.body);
      body.set(first, cookieSizeBytes);
      this.datagram = this.encode('open', body);
      this.stage = 'open';
      return 'advanced';
    }
    if (packet.kind === 'reply' && this.stage === 'open') {
      if (!this.noise.read(packet.body)) return 'bad-handshake';
      this.datagram = undefined;
      this.stage = 'trust';
      return 'advanced';
    }
    return 'late';
  }

  private handleSmall({ kind }: ChannelPacket): 'small-only' | 'late' {
    // A duplicate counts once.
    const isNew = this.smallAnswers < this.hellosSent - 1;
    if (kind !== 'cookie' || this.stage !== 'hello' || !isNew) return 'late';
    this.smallAnswers++;
    return 'small-only';
  }

  /**
   * Prepares this side's proof and opens the channel. Call it once the receiver's key is trusted.
   * @param secret from this receiver's invitation, if any; the proof then shows that this side knows it
   */
  prove(secret?: Uint8Array): void {
    assert(this.stage === 'trust', 'trust is asked for once');
    const { hash } = this.noise;
    assert(hash !== undefined, 'the second message has been read');
    const invited = secret === undefined ? undefined : proveInvitation(this.crypto, secret, hash);
    this.datagram = this.encode('proof', this.noise.write(invited));
    const { keys } = this.noise;
    assert(keys !== undefined, 'the handshake is complete');
    this.channel = this.createChannel(keys);
    this.stage = 'proof';
  }

  private encode(kind: ChannelPacket['kind'], body: Uint8Array): Uint8Array {
    return encodeChannelPacket(kind, this.session, this.receiver, this.nonce, body);
  }

  private encodeHello(nonce: number, sizeBytes: number): Uint8Array {
    const padding = new Uint8Array(sizeBytes - sessionHeaderSizeBytes);
    return encodeChannelPacket('hello', this.session, this.receiver, nonce, padding);
  }
}
