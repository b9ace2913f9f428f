/** SHA-256 and AES-256-GCM by node:crypto. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { assert } from '../../base/assert.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { keySizeBytes, nonceSizeBytes, tagSizeBytes } from '../../wire/sizes.js';

/** What every datagram and block needs of the cryptography of sessions. */
export interface Primitives extends Pick<SessionCrypto, 'seal' | 'open'> {
  readonly sha256: SessionCrypto['hash'];
}

const cipherName = 'aes-256-gcm';
const cipherOptions = { authTagLength: tagSizeBytes };

export const nodePrimitives: Primitives = {
  sha256: (...parts) => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return plain(hash.digest());
  },

  seal: (key, nonce, plaintext, associated) => {
    assertSealable(key, nonce);
    const cipher = createCipheriv(cipherName, key, nonce, cipherOptions);
    cipher.setAAD(associated);
    const sealed = new Uint8Array(plaintext.length + tagSizeBytes);
    sealed.set(cipher.update(plaintext));
    // With GCM, `update` returns all bytes, and `final` returns none.
    cipher.final();
    sealed.set(cipher.getAuthTag(), plaintext.length);
    return sealed;
  },

  open: (key, nonce, sealed, associated) => {
    if (!canOpen(key, nonce, sealed)) return undefined;
    const textSizeBytes = sealed.length - tagSizeBytes;
    const decipher = createDecipheriv(cipherName, key, nonce, cipherOptions);
    decipher.setAAD(associated);
    decipher.setAuthTag(sealed.subarray(textSizeBytes));
    const plaintext = decipher.update(sealed.subarray(0, textSizeBytes));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(plaintext);
  },
};

/** Asserts the sizes of what seals. */
export function assertSealable(key: Uint8Array, nonce: Uint8Array): void {
  assert(key.length === keySizeBytes, 'a key of AES-256 has 32 bytes');
  assert(nonce.length === nonceSizeBytes, 'a nonce has 12 bytes');
}

/** Whether the sizes are possible. GCM itself accepts nonces of any size. */
export function canOpen(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): boolean {
  const isKey = key.length === keySizeBytes;
  return isKey && nonce.length === nonceSizeBytes && sealed.length >= tagSizeBytes;
}

/**
 * Converts a Buffer to a plain Uint8Array. The core expects `slice` to copy, but `slice` of a Buffer does not
 * copy.
 */
export function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
