/**
 * The sender's side of opening a session with one receiver (SESSIONS 3): hello, cookie, handshake. The
 * last thing sent is repeated until it is answered; nothing here depends on what the other side keeps.
 */
import { assert } from '../assert.js';
import type { Handshake, SessionCrypto } from './crypto.js';
import { SecureChannel } from './secure-channel.js';
import { protocolVersion } from './session-config.js';
import type { ChannelPacket } from './session-packet.js';
import { encodeChannelPacket, sessionHeaderSizeBytes } from './session-packet.js';

/** A hello is padded to this, so that no answer to it is longer. */
export const helloSizeBytes = 64;
export const cookieSizeBytes = 32;

/** What both sides mix into their handshake: version, session, the sender's number for the receiver. */
export function handshakePrologue(session: number, receiver: number): Uint8Array {
  return new TextEncoder().encode(`p2mp ${protocolVersion} ${session} ${receiver}`);
}

export type OpeningStage =
  /** A cookie is awaited. */
  | 'hello'
  /** The receiver's part of the handshake is awaited. */
  | 'open'
  /** The receiver has shown its key; somebody must say whether it is trusted. */
  | 'trust'
  /** The handshake is complete on this side. */
  | 'proof';

export class Opening {
  stage: OpeningStage = 'hello';
  channel: SecureChannel | undefined;
  /** The datagram to repeat; undefined while the key's trust is awaited. */
  datagram: Uint8Array | undefined;
  private readonly nonce: number;
  private readonly handshake: Handshake;

  constructor(
    crypto: SessionCrypto,
    private readonly session: number,
    private readonly receiver: number,
  ) {
    const random = crypto.random(4);
    this.nonce = random.reduce((sum, byte) => sum * 256 + byte, 0);
    this.handshake = crypto.startHandshake('initiator', handshakePrologue(session, receiver));
    this.createChannel = (keys) => new SecureChannel(crypto, session, receiver, keys);
    const padding = new Uint8Array(helloSizeBytes - sessionHeaderSizeBytes);
    this.datagram = this.encode('hello', padding);
  }

  private readonly createChannel: (keys: NonNullable<Handshake['keys']>) => SecureChannel;

  /** The receiver's static key, from stage `trust` on. */
  get receiverKey(): Uint8Array | undefined {
    return this.handshake.remoteKey;
  }

  /** @returns whether it led to the next stage; else what is wrong, or 'late' for a repetition */
  handle(packet: ChannelPacket): 'advanced' | 'late' | 'other-version' | 'bad-handshake' {
    // Whoever does not know the number has not read the hello: only the receiver can say anything.
    if (packet.counter !== this.nonce) return 'late';
    if (packet.version !== protocolVersion) return 'other-version';
    if (packet.kind === 'cookie' && this.stage === 'hello') {
      if (packet.body.length !== cookieSizeBytes) return 'bad-handshake';
      const first = this.handshake.write();
      const body = new Uint8Array(cookieSizeBytes + first.length);
      body.set(packet.body);
      body.set(first, cookieSizeBytes);
      this.datagram = this.encode('open', body);
      this.stage = 'open';
      return 'advanced';
    }
    if (packet.kind === 'reply' && this.stage === 'open') {
      if (!this.handshake.read(packet.body)) return 'bad-handshake';
      this.datagram = undefined;
      this.stage = 'trust';
      return 'advanced';
    }
    return 'late';
  }

  /** The receiver's key is trusted: proves this side's own, and opens the channel. */
  prove(): void {
    assert(this.stage === 'trust', 'trust is asked for once');
    this.datagram = this.encode('proof', this.handshake.write());
    const { keys } = this.handshake;
    assert(keys !== undefined, 'the handshake is complete');
    this.channel = this.createChannel(keys);
    this.stage = 'proof';
  }

  private encode(kind: ChannelPacket['kind'], body: Uint8Array): Uint8Array {
    return encodeChannelPacket(kind, this.session, this.receiver, this.nonce, body);
  }
}
