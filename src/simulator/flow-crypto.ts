/** Cryptography for sessions that are traffic: fast, and good enough on links that corrupt nothing. */
import type { SessionCrypto } from '../security/crypto.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { createSimulatedCrypto } from './session-crypto.js';

/**
 * Creates faster cryptography. If there is no associated data, only the first 64 bytes of the plaintext are
 * authenticated. Hashes cover only the first 64 bytes of each input. This is enough, because no link of a
 * flow corrupts datagrams.
 */
export function createFlowCrypto(seed: string, name: string): SessionCrypto {
  const crypto = createSimulatedCrypto(seed, name);
  const head = (bytes: Uint8Array) => bytes.subarray(0, 64);
  const seal: SessionCrypto['seal'] = (key, nonce, plaintext) => {
    const sealed = new Uint8Array(plaintext.length + 16);
    sealed.set(plaintext);
    sealed.set(crypto.mac(key, nonce, head(plaintext)).subarray(0, 16), plaintext.length);
    return sealed;
  };
  return {
    ...crypto,
    hash: (...parts) => crypto.hash(...parts.map(head)),
    seal: (key, nonce, plaintext, associated) =>
      associated.length > 0
        ? crypto.seal(key, nonce, plaintext, associated)
        : seal(key, nonce, plaintext, associated),
    open: (key, nonce, sealed, associated) => {
      if (associated.length > 0) return crypto.open(key, nonce, sealed, associated);
      const plaintext = sealed.slice(0, -16);
      const expected = seal(key, nonce, head(plaintext), associated).subarray(-16);
      return isEqualBytes(expected, sealed.subarray(-16)) ? plaintext : undefined;
    },
  };
}
