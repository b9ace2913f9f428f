/**
 * The sender's side of opening a session with one receiver (SESSIONS 3): hello, cookie, handshake. The
 * last thing sent is repeated until it is answered; nothing here depends on what the other side keeps.
 *
 * A hello is as large as the largest datagram of data: who answers it has shown that its path carries
 * those (SESSIONS 3.11). Repeated hellos go out in pairs with a small one, so that a path that swallows
 * large datagrams can be told from a receiver that is not there.
 */
import { assert } from '../base/assert.js';
import { readUint32 } from '../base/network-order.js';
import type { ChannelPacket } from '../wire/header.js';
import { encodeChannelPacket, protocolVersion, sessionHeaderSizeBytes } from '../wire/header.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { SecureChannel } from './secure-channel.js';

/** The least that a hello has, so that no answer to it is longer. */
export const helloSizeBytes = 64;

/**
 * Small hellos that were answered, each after a large one that was not: from the first number on, the path
 * is taken to be narrow. By loss alone, 30 % of it each way, that happens once in 450 openings; a wrong
 * guess costs little where the session has not begun. From the second number on it is certain.
 */
export const narrowPathAnswers = { suspected: 5, certain: 20 } as const;
export const cookieSizeBytes = 32;

/** Copies of an open, or of a proof, that go at once. */
export const maxOpenCopies = 8;

/** What both sides mix into their handshake: version, session, the sender's number for the receiver. */
export function handshakePrologue(session: number, receiver: number): Uint8Array {
  return new TextEncoder().encode(`p2mp ${protocolVersion} ${session} ${receiver}`);
}

export type HandshakeStage =
  /** A cookie is awaited. */
  | 'hello'
  /** The receiver's part of the handshake is awaited. */
  | 'open'
  /** The receiver has shown its key; somebody must say whether it is trusted. */
  | 'trust'
  /** The handshake is complete on this side. */
  | 'proof';

/** What an answer leads to: the next stage; or what is wrong; or nothing, as it came before. */
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
  /** The datagram to repeat; undefined while the key's trust is awaited. */
  datagram: Uint8Array | undefined;
  /** Small hellos that were answered, while no large one was. */
  smallAnswers = 0;
  private readonly nonce: number;
  /** That of small hellos: an answer tells which it answers. */
  private readonly smallNonce: number;
  private readonly smallHello: Uint8Array;
  private hellosSent = 0;
  /** Of the open, when it is sent next. */
  private openCopies = 1;
  private readonly noise: Handshake;

  /** @param fullSizeBytes of the largest datagram that will go to this receiver */
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

  /** Whether it is about to show if the path swallows large datagrams. */
  get isBeingProbed(): boolean {
    const { stage, smallAnswers } = this;
    return stage === 'hello' && smallAnswers > 0 && smallAnswers < narrowPathAnswers.suspected;
  }

  /**
   * What to send now: the first hello goes alone, the others with a small one. Each time an open is not
   * answered, twice as many copies of it go: a receiver that is flooded draws lots among all that come.
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
    // Whoever does not know the number has not read the hello: only the receiver can say anything.
    const isSmall = packet.counter === this.smallNonce && this.hellosSent > 1;
    if (packet.counter !== this.nonce && !isSmall) return 'late';
    if (packet.version !== protocolVersion) return 'other-version';
    if (isSmall) return this.handleSmall(packet);
    if (packet.kind === 'cookie' && this.stage === 'hello') {
      if (packet.body.length !== cookieSizeBytes) return 'bad-handshake';
      const first = this.noise.write();
      // As large as the hello: under a flood, a receiver goes by the bytes that were spent (SESSIONS 3.14).
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
    // One that comes twice counts once.
    const isNew = this.smallAnswers < this.hellosSent - 1;
    if (kind !== 'cookie' || this.stage !== 'hello' || !isNew) return 'late';
    this.smallAnswers++;
    return 'small-only';
  }

  /** The receiver's key is trusted: proves this side's own, and opens the channel. */
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
