/**
 * The channel between the sender and one receiver. Messages are sealed with the keys of the handshake. Each message
 * has its own number, and a number is accepted only once (as in RFC 4303, 3.4.3).
 */
import { assert } from '../base/assert.js';
import type { ChannelPacket } from '../wire/header.js';
import { encodeChannelHeader, sessionHeaderSizeBytes } from '../wire/header.js';
import { nonceSizeBytes, tagSizeBytes } from '../wire/sizes.js';
import type { Handshake, SessionCrypto } from './crypto.js';

/**
 * Size of the replay window. A message is rejected if its number is this far or further below the highest
 * accepted number.
 */
const replayWindow = 32;

/** The largest message number. At 1,000 messages per second, the numbers last for seven weeks. */
const maxCounter = 2 ** 32 - 1;

/** A channel whose other side has proven its key. */
export interface ProvenChannel {
  readonly channel: SecureChannel;
  readonly peerKey: Uint8Array;
  /** Round-trip time of the handshake; undefined if it could not be measured. */
  readonly rttMs: number | undefined;
}

export class SecureChannel {
  private sendCounter = 0;
  private highest = -1;
  /** Bit i is set if message number `highest - i` has been accepted. */
  private taken = 0;

  constructor(
    private readonly crypto: SessionCrypto,
    readonly session: number,
    readonly receiver: number,
    private readonly keys: NonNullable<Handshake['keys']>,
  ) {}

  /**
   * Whether all message numbers are used up. This side then stops sending; only a new handshake provides new
   * keys.
   */
  get isSpent(): boolean {
    return this.sendCounter > maxCounter;
  }

  seal(message: Uint8Array): Uint8Array {
    const counter = this.sendCounter++;
    assert(counter <= maxCounter, 'a number that was not used before');
    const sealedBytes = message.length + tagSizeBytes;
    const { session, receiver } = this;
    const header = encodeChannelHeader('control', session, receiver, counter, sealedBytes);
    const sealed = this.crypto.seal(this.keys.send, createNonce(counter), message, header);
    const bytes = new Uint8Array(sessionHeaderSizeBytes + sealed.length);
    bytes.set(header);
    bytes.set(sealed, sessionHeaderSizeBytes);
    return bytes;
  }

  /** @returns the message, or the fault */
  open(packet: ChannelPacket): Uint8Array | 'replayed' | 'forged' {
    const { counter, header, body } = packet;
    if (this.isTaken(counter)) return 'replayed';
    const message = this.crypto.open(this.keys.receive, createNonce(counter), body, header);
    if (message === undefined) return 'forged';
    this.take(counter);
    return message;
  }

  private isTaken(counter: number): boolean {
    const age = this.highest - counter;
    if (age < 0) return false;
    return age >= replayWindow || ((this.taken >>> age) & 1) === 1;
  }

  private take(counter: number): void {
    const step = counter - this.highest;
    if (step > 0) {
      this.taken = step >= replayWindow ? 1 : (this.taken << step) | 1;
      this.highest = counter;
    } else {
      this.taken |= 1 << -step;
    }
  }
}

function createNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(nonceSizeBytes);
  const view = new DataView(nonce.buffer);
  view.setUint32(8, counter);
  return nonce;
}
