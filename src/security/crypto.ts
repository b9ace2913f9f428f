/**
 * What the session dialect asks of cryptography. The core brings none: the Node shell gives it a Noise
 * library and node:crypto, the simulator a cheap stand-in.
 */
import type { Hash } from '../base/hash.js';
import type { Steps } from '../base/steps.js';

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

/** A digest of bytes that come in pieces. */
export interface HashInProgress {
  /** Adds bytes to the digest. */
  update(bytes: Uint8Array): void;
  /** Once, at the end. */
  digest(): Uint8Array;
}

/** The cryptography that sessions need, provided by the shell (SECURITY, "How"). */
export interface SessionCrypto {
  /** Unpredictable bytes. */
  random(sizeBytes: number): Uint8Array;
  /** SHA-256. */
  readonly hash: Hash;
  /** SHA-256 of what is too much for one call. */
  startHash(): HashInProgress;
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
  /**
   * Begins one side of a handshake.
   * @param prologue what both sides must agree on beforehand
   */
  startHandshake(role: 'initiator' | 'responder', prologue: Uint8Array): Handshake;
}

/** Hashed in one step: a few milliseconds. */
const hashStepBytes = 1024 * 1024;

/**
 * SHA-256, in steps.
 * @param bytes must not change meanwhile
 */
export function* hashInSteps({ startHash }: SessionCrypto, bytes: Uint8Array): Steps<Uint8Array> {
  const hash = startHash();
  for (let start = 0; start < bytes.length; start += hashStepBytes) {
    if (start > 0) yield;
    hash.update(bytes.subarray(start, start + hashStepBytes));
  }
  return hash.digest();
}
