/**
 * What the session dialect asks of cryptography. The core brings none: the Node shell gives it a Noise
 * library and node:crypto, the simulator a cheap stand-in.
 */
import type { Hash } from './hash-tree.js';

export const keySizeBytes = 32;
export const nonceSizeBytes = 12;
/** What sealing adds. */
export const tagSizeBytes = 16;
export const digestSizeBytes = 32;

/** One side of a handshake of the pattern XX (Noise Protocol Framework, rev. 34, 7.5). */
export interface Handshake {
  /** The next message to send. */
  write(): Uint8Array;
  /** Takes the other side's next message; false where it is none, and the handshake is over. */
  read(message: Uint8Array): boolean;
  /** The other side's static key, once it has been read. */
  readonly remoteKey: Uint8Array | undefined;
  /** The keys of both directions, once the handshake is complete. */
  readonly keys: { readonly send: Uint8Array; readonly receive: Uint8Array } | undefined;
}

export interface SessionCrypto {
  /** Unpredictable bytes. */
  random(sizeBytes: number): Uint8Array;
  /** SHA-256. */
  readonly hash: Hash;
  /** HMAC-SHA-256. */
  mac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** AES-256-GCM: the ciphertext, then the tag. A nonce must never meet two plaintexts. */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    associated: Uint8Array,
  ): Uint8Array;
  /** @returns the plaintext, or undefined where key, nonce, bytes and tag do not belong together */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): Uint8Array | undefined;
  /** Processor time of a responder for one whole handshake. */
  readonly handshakeCostMs: number;
  /** @param prologue what both sides must agree on beforehand */
  startHandshake(role: 'initiator' | 'responder', prologue: Uint8Array): Handshake;
}
