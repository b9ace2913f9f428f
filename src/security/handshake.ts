/**
 * The sender's side of the handshake with one receiver (SESSIONS 3). It sends a hello, gets a cookie, and then begins
 * a Noise handshake. The sender repeats each packet until it is answered.
 *
 * A hello is as large as the largest data datagram, so an answer shows that the path carries that size
 * (SESSIONS 3.11). Each repeated hello is sent together with a small one. If only the small one is answered, the
 * receiver is there and the path MTU may be exceeded.
 */
import { assert } from '../base/assert.js';
import { readUint32 } from '../base/network-order.js';
import type { ChannelPacket } from '../wire/header.js';
import { encodeChannelPacket, protocolVersion, sessionHeaderSizeBytes } from '../wire/header.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { SecureChannel } from './secure-channel.js';

/** The least size of a hello. No answer to a hello is longer than this. */
export const helloSizeBytes = 64;

/**
 * After this many answered small hellos, each sent with a large one that was not answered, an exceeded path MTU is
 * suspected or certain. With 30 % loss each way, a false suspicion occurs once in 450 handshakes. It costs little,
 * because the session has not begun.
 */
export const narrowPathAnswers = { suspected: 5, certain: 20 } as const;
export const cookieSizeBytes = 32;

/** The most copies of an open or a proof sent at once. */
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
  /** The receiver has shown its key; waiting for key approval. */
  | 'trust'
  /** The handshake is complete on this side. */
  | 'proof';

/** The effect of an answer. It leads to the next stage, is a fault, or changes nothing because it is a repetition. */
export type HandshakeOutcome =
  | 'advanced'
  /** A small hello was answered: the receiver is there. */
  | 'small-only'
  | 'late'
  | 'other-version'
  | 'bad-handshake';

export class OutgoingHandshake {
  stage: HandshakeStage = 'hello';
  channel: SecureChannel | undefined;
  /** The datagram to repeat; undefined while waiting for key approval. */
  datagram: Uint8Array | undefined;
  /** The number of small hellos that were answered. No large hello has been answered by then. */
  smallAnswers = 0;
  private readonly nonce: number;
  /** The nonce of small hellos, which identifies their answers. */
  private readonly smallNonce: number;
  private readonly smallHello: Uint8Array;
  private hellosSent = 0;
  /** How many copies of the open to send next. */
  private openCopies = 1;
  private readonly noise: Handshake;

  /** @param fullSizeBytes the size of the largest datagram for this receiver */
  constructor(
    crypto: SessionCrypto,
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

  /** The receiver's static key, from stage `trust` on. */
  get receiverKey(): Uint8Array | undefined {
    return this.noise.remoteKey;
  }

  /** Whether small hellos have been answered, but too few to suspect that the path MTU is exceeded. */
  get isBeingProbed(): boolean {
    const { stage, smallAnswers } = this;
    return stage === 'hello' && smallAnswers > 0 && smallAnswers < narrowPathAnswers.suspected;
  }

  /**
   * The datagrams to send now. The first hello is sent alone, and each later one with a small hello. Each repetition of
   * an open doubles the number of its copies, because a flooded receiver serves requests chosen at random.
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

  handle(packet: ChannelPacket): HandshakeOutcome {
    // An answer without the nonce comes from someone who has not seen the hello.
    const isSmall = packet.counter === this.smallNonce && this.hellosSent > 1;
    if (packet.counter !== this.nonce && !isSmall) return 'late';
    if (packet.version !== protocolVersion) return 'other-version';
    if (isSmall) return this.handleSmall(packet);
    if (packet.kind === 'cookie' && this.stage === 'hello') {
      if (packet.body.length !== cookieSizeBytes) return 'bad-handshake';
      const first = this.noise.write();
      // An open is as large as a hello, because a flooded receiver prefers large requests (SESSIONS 3.14).
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

  /** The receiver's key is trusted: sends this side's proof and opens the channel. */
  prove(): void {
    assert(this.stage === 'trust', 'trust is asked for once');
    this.datagram = this.encode('proof', this.noise.write());
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
