/**
 * The interface of the cryptography that sessions need. The core itself contains no cryptography: the Node
 * shell provides a Noise library and node:crypto, and the simulator provides a cheap substitute.
 */
import type { Hash } from '../base/hash.js';
import type { Steps } from '../base/steps.js';

/** One side of a Noise XX handshake (Noise Protocol Framework, rev. 34, 7.5). */
export interface Handshake {
  /**
   * Returns the next message to send.
   * @param payload only for the third message, which encrypts it
   */
  write(payload?: Uint8Array): Uint8Array;
  /**
   * Reads the other side's next message. Returns false if the message is invalid, which ends the handshake.
   */
  read(message: Uint8Array): boolean;
  /** The other side's static key; undefined until it has been read. */
  readonly remoteKey: Uint8Array | undefined;
  /**
   * The handshake hash after the second message (Noise Protocol Framework, rev. 34, 11.2). Both sides of a handshake
   * have the same one, and no other handshake has it. Undefined before the second message.
   */
  readonly hash: Uint8Array | undefined;
  /** The payload of the third message; undefined until it has been read, and empty if it had none. */
  readonly payload: Uint8Array | undefined;
  /** The keys of both directions; undefined until the handshake is complete. */
  readonly keys: { readonly send: Uint8Array; readonly receive: Uint8Array } | undefined;
}

/** An incremental digest. */
export interface HashInProgress {
  /** Adds bytes to the digest. */
  update(bytes: Uint8Array): void;
  /** Returns the digest. Call it once, at the end. */
  digest(): Uint8Array;
}

/** What an envelope contained, and whose it is. */
export interface OpenedEnvelope {
  /** Only the owner of this key, or of the key that opened it, can have made the envelope. */
  readonly senderKey: Uint8Array;
  readonly payload: Uint8Array;
}

/** The cryptography that sessions need, provided by the shell (SECURITY, "How"). */
export interface SessionCrypto {
  /** Unpredictable bytes. */
  random(sizeBytes: number): Uint8Array;
  /** SHA-256. */
  readonly hash: Hash;
  /** Starts a SHA-256 digest of data that is too long to hash in one call. */
  startHash(): HashInProgress;
  /** HMAC-SHA-256. */
  mac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /**
   * Encrypts with AES-256-GCM. A nonce must never encrypt two plaintexts.
   * @returns the ciphertext followed by the tag
   */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    plaintext: Uint8Array,
    associated: Uint8Array,
  ): Uint8Array;
  /** @returns the plaintext, or undefined if authentication fails */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    associated: Uint8Array,
  ): Uint8Array | undefined;
  /** Processor time that a responder needs for one handshake. */
  readonly handshakeCostMs: number;
  /**
   * Begins one side of a handshake.
   * @param prologue data that must be the same on both sides
   */
  startHandshake(role: 'initiator' | 'responder', prologue: Uint8Array): Handshake;
  /**
   * Seals a payload for the owner of a key, as one message of the Noise pattern X (Noise Protocol Framework, rev. 34,
   * 7.4). It authenticates this side's key.
   * @param prologue data that must be the same on both sides
   * @throws Error if no secret can be shared with this key
   */
  sealEnvelope(receiverKey: Uint8Array, prologue: Uint8Array, payload: Uint8Array): Uint8Array;
  /** @returns undefined unless the envelope was made for this side's key and with this prologue */
  openEnvelope(prologue: Uint8Array, envelope: Uint8Array): OpenedEnvelope | undefined;
}

/** Number of bytes hashed in one step. A step of this size takes a few milliseconds. */
const hashStepBytes = 1024 * 1024;

/**
 * Computes SHA-256 in steps.
 * @param bytes the data, which must not change until the last step is done
 */
export function* hashInSteps({ startHash }: SessionCrypto, bytes: Uint8Array): Steps<Uint8Array> {
  const hash = startHash();
  for (let start = 0; start < bytes.length; start += hashStepBytes) {
    if (start > 0) yield;
    hash.update(bytes.subarray(start, start + hashStepBytes));
  }
  return hash.digest();
}
