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
 * The numbers that are remembered, as words of 32 bits in a ring (as in RFC 6479). Messages of a slow path arrive
 * long after later ones of a fast path.
 */
const ringWords = 32;

/**
 * Size of the replay window. A message is rejected if its number is this far or further below the highest
 * accepted number. One word less than the ring, because the highest word is not full.
 */
const replayWindow = 32 * (ringWords - 1);

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
  private opened = -1;
  /** The bit of each message number that has been accepted is set. */
  private readonly taken = new Uint32Array(ringWords);

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

  /** Number of the message that was opened last; -1 before the first one. */
  get openedNumber(): number {
    return this.opened;
  }

  /** Whether no message with a higher number has arrived than the one that was opened last. */
  get isOpenedNewest(): boolean {
    return this.opened === this.highest;
  }

  /** @returns the message, or the fault */
  open(packet: ChannelPacket): Uint8Array | 'replayed' | 'forged' {
    const { counter, header, body } = packet;
    if (this.isTaken(counter)) return 'replayed';
    const message = this.crypto.open(this.keys.receive, createNonce(counter), body, header);
    if (message === undefined) return 'forged';
    this.take(counter);
    this.opened = counter;
    return message;
  }

  private isTaken(counter: number): boolean {
    if (counter > this.highest) return false;
    if (counter <= this.highest - replayWindow) return true;
    return (((this.taken[wordOf(counter)] as number) >>> (counter % 32)) & 1) === 1;
  }

  private take(counter: number): void {
    const newWords = Math.floor(counter / 32) - Math.floor(this.highest / 32);
    for (let i = 0; i < Math.min(newWords, ringWords); i++)
      this.taken[wordOf(counter - 32 * i)] = 0;
    this.highest = Math.max(this.highest, counter);
    const word = wordOf(counter);
    this.taken[word] = (this.taken[word] as number) | (1 << (counter % 32));
  }
}

/** The place in the ring of the word with this number's bit. */
function wordOf(counter: number): number {
  return Math.floor(counter / 32) % ringWords;
}

function createNonce(counter: number): Uint8Array {
  const nonce = new Uint8Array(nonceSizeBytes);
  const view = new DataView(nonce.buffer);
  view.setUint32(8, counter);
  return nonce;
}
