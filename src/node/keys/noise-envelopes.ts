/**
 * Envelopes: one-way messages of the pattern X, Noise_X_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, rev. 34,
 * 7.4). The Noise library has the state that all patterns share, but not this pattern.
 */
import type { NoiseKeyPair } from 'noise-handshake';
import type { OpenedEnvelope } from '../../security/crypto.js';
import { keySizeBytes, tagSizeBytes } from '../../wire/sizes.js';
import type { NoiseLibrary } from './load-noise.js';

const protocolName = new TextEncoder().encode('Noise_X_25519_ChaChaPoly_BLAKE2b');

/** The key `s`, encrypted. */
const sealedKeySizeBytes = keySizeBytes + tagSizeBytes;

export class NoiseEnvelopes {
  constructor(
    private readonly library: NoiseLibrary,
    private readonly keyPair: NoiseKeyPair,
  ) {}

  /** @throws Error if the receiver's key is a point of low order */
  seal(receiverKey: Uint8Array, prologue: Uint8Array, payload: Uint8Array): Uint8Array {
    const state = this.begin(prologue, receiverKey);
    const ephemeral = this.library.curve.generateKeyPair();
    state.mixHash(ephemeral.publicKey);
    state.mixKey(receiverKey, ephemeral);
    const sealedKey = state.encryptAndHash(this.keyPair.publicKey);
    state.mixKey(receiverKey, this.keyPair);
    const parts = [ephemeral.publicKey, sealedKey, state.encryptAndHash(payload)];
    return Uint8Array.from(Buffer.concat(parts));
  }

  /** @returns undefined unless the envelope was made for this key and with this prologue */
  open(prologue: Uint8Array, envelope: Uint8Array): OpenedEnvelope | undefined {
    if (envelope.length < keySizeBytes + sealedKeySizeBytes + tagSizeBytes) return undefined;
    const keyEnd = keySizeBytes + sealedKeySizeBytes;
    // A copy, because the library takes only buffers.
    const bytes = Buffer.from(envelope);
    try {
      const state = this.begin(prologue, this.keyPair.publicKey);
      const ephemeralKey = bytes.subarray(0, keySizeBytes);
      state.mixHash(ephemeralKey);
      state.mixKey(ephemeralKey, this.keyPair);
      const senderKey = state.decryptAndHash(bytes.subarray(keySizeBytes, keyEnd));
      state.mixKey(senderKey, this.keyPair);
      const payload = state.decryptAndHash(bytes.subarray(keyEnd));
      return { senderKey: Uint8Array.from(senderKey), payload: Uint8Array.from(payload) };
    } catch {
      return undefined;
    }
  }

  private begin(prologue: Uint8Array, receiverKey: Uint8Array) {
    const state = new this.library.SymmetricState({ curve: this.library.curve });
    state.digest.set(protocolName);
    state.chainingKey = Buffer.from(state.digest);
    state.mixHash(Buffer.from(prologue));
    state.mixHash(Buffer.from(receiverKey));
    return state;
  }
}
