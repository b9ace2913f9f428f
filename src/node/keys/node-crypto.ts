/**
 * The cryptography of sessions, based on libcrypto, node:crypto and a Noise library. Handshakes are
 * Noise_XX_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, rev. 34). Only the third message may have a payload.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { NoiseCurve } from 'noise-handshake';
import { assert, at } from '../../base/assert.js';
import { checkOptions, required } from '../../base/options/check-options.js';
import type { Handshake, SessionCrypto } from '../../security/crypto.js';
import { digestSizeBytes, keySizeBytes, tagSizeBytes } from '../../wire/sizes.js';
import { keyPair as keyPairCheck } from '../option-checks.js';
import { plain } from '../primitives/node-primitives.js';
import { loadPrimitives } from '../primitives/primitives.js';
import type { KeyPair } from './key-files.js';
import type { NoiseLibrary } from './load-noise.js';
import { NoiseEnvelopes } from './noise-envelopes.js';

/**
 * Sizes of the three XX messages. They contain `e`; `e`, `s` and an empty payload; `s` and an empty payload.
 * Each `s` and each payload has an authentication tag. A payload of the third message comes on top.
 */
const messageSizesBytes = [
  keySizeBytes,
  keySizeBytes + keySizeBytes + 2 * tagSizeBytes,
  keySizeBytes + 2 * tagSizeBytes,
] as const;

/** The size of the payload of the third message, if it has one: the proof of an invitation (SESSIONS 3.15). */
const payloadSizeBytes = digestSizeBytes;

/**
 * @param keyPair key pair of this side, copied and used for all handshakes
 * @throws P2mpError INVALID_ARGUMENT
 * @example
 * ```ts
 * import { createNodeCrypto, generateKeyPair } from 'p2mp';
 *
 * const crypto = await createNodeCrypto(await generateKeyPair());
 * console.log(crypto.hash(Uint8Array.of(1)).length); // 32
 * ```
 */
export async function createNodeCrypto(keyPair: KeyPair): Promise<SessionCrypto> {
  checkOptions({ keyPair }, { keyPair: required(keyPairCheck) });
  const { publicKey, secretKey } = keyPair;
  const ownPair = { publicKey: Uint8Array.from(publicKey), secretKey: Uint8Array.from(secretKey) };
  // Loaded on demand, because commands without sessions do not need the library.
  const { loadNoise } = await import('./load-noise.js');
  const loaded = loadNoise();
  const library = { ...loaded, curve: withoutWeakPoints(loaded.curve) };
  const envelopes = new NoiseEnvelopes(library, {
    publicKey: Buffer.from(ownPair.publicKey),
    secretKey: Buffer.from(ownPair.secretKey),
  });
  const startHandshake: SessionCrypto['startHandshake'] = (role, prologue) =>
    new NoiseHandshake(library, ownPair, role === 'initiator', prologue);
  let handshakeCostMs: number | undefined;
  const { sha256, seal, open } = loadPrimitives();
  return {
    random: (sizeBytes) => plain(randomBytes(sizeBytes)),
    hash: sha256,
    startHash: () => {
      const hash = createHash('sha256');
      return { update: (bytes) => void hash.update(bytes), digest: () => plain(hash.digest()) };
    },
    mac: (key, ...parts) => {
      const mac = createHmac('sha256', key);
      for (const part of parts) mac.update(part);
      return plain(mac.digest());
    },
    seal,
    open,
    startHandshake,
    sealEnvelope: (receiverKey, prologue, payload) =>
      envelopes.seal(Buffer.from(receiverKey), prologue, Buffer.from(payload)),
    openEnvelope: (prologue, envelope) => envelopes.open(prologue, envelope),
    // Measured only on demand, because hosts that few others call never need this value.
    get handshakeCostMs() {
      handshakeCostMs ??= measureHandshake(startHandshake);
      return handshakeCostMs;
    },
  };
}

/**
 * The same for a host that others call. Its first caller does not wait until the code of handshakes is compiled.
 * @throws P2mpError INVALID_ARGUMENT
 */
export async function createWarmCrypto(keyPair: KeyPair): Promise<SessionCrypto> {
  const crypto = await createNodeCrypto(keyPair);
  // Runs a few handshakes.
  void crypto.handshakeCostMs;
  return crypto;
}

/**
 * Runs both sides of a few handshakes.
 * @returns the time that one side of a handshake takes, in milliseconds
 */
function measureHandshake(startHandshake: SessionCrypto['startHandshake']): number {
  const prologue = new Uint8Array(0);
  let leastMs = Infinity;
  // Take the minimum of a few runs, because the first run includes compilation and any run may be
  // interrupted.
  for (let run = 0; run < 4; run++) {
    const startedAtMs = performance.now();
    const initiator = startHandshake('initiator', prologue);
    const responder = startHandshake('responder', prologue);
    responder.read(initiator.write());
    initiator.read(responder.write());
    responder.read(initiator.write());
    leastMs = Math.min(leastMs, (performance.now() - startedAtMs) / 2);
  }
  return leastMs;
}

/**
 * Rejects points of low order, which give a shared secret that everyone knows. Libsodium rejects such points,
 * but its JavaScript port does not.
 */
function withoutWeakPoints(curve: NoiseCurve): NoiseCurve {
  return {
    ...curve,
    dh: (publicKey, keyPair) => {
      const secret = curve.dh(publicKey, keyPair);
      if (secret.every((byte) => byte === 0)) throw new Error('a point of low order');
      return secret;
    },
  };
}

/**
 * Any key pair can detect low-order points: X25519 scalars are multiples of eight, which map such points to
 * zero.
 */
const anyPair: KeyPair = {
  publicKey: new Uint8Array(keySizeBytes),
  secretKey: new Uint8Array(keySizeBytes).fill(1),
};

class NoiseHandshake implements Handshake {
  remoteKey: Uint8Array | undefined;
  hash: Uint8Array | undefined;
  payload: Uint8Array | undefined;
  keys: Handshake['keys'];
  private readonly noise: InstanceType<NoiseLibrary['Noise']>;
  private readonly curve: NoiseCurve;
  /** Number of messages so far, from both sides. */
  private messageCount = 0;
  private isOver = false;

  constructor(
    { Noise, curve }: NoiseLibrary,
    keyPair: KeyPair,
    private readonly isInitiator: boolean,
    prologue: Uint8Array,
  ) {
    this.curve = curve;
    this.noise = new Noise('XX', isInitiator, keyPair, { curve });
    this.noise.initialise(prologue);
  }

  write(payload = new Uint8Array(0)): Uint8Array {
    assert(!this.isOver, 'nothing is written once a handshake is over');
    assert(this.isOwnTurn, 'a handshake is written and read in turn');
    assert(payload.length === 0 || this.isLast, 'only the third message has a payload');
    const message = Uint8Array.from(this.noise.send(payload));
    this.countMessage();
    return message;
  }

  read(message: Uint8Array): boolean {
    if (this.isOver || this.isOwnTurn) return false;
    const extraBytes = message.length - at(messageSizesBytes, this.messageCount);
    const isRightSize = extraBytes === 0 || (this.isLast && extraBytes === payloadSizeBytes);
    const isGood = isRightSize && this.take(message);
    if (isGood) this.countMessage();
    else this.isOver = true;
    return isGood;
  }

  private take(message: Uint8Array): boolean {
    try {
      // Pass a copy, because the library keeps views of the message and zeroes them at the end.
      const copy = Uint8Array.from(message);
      // Detect a weak point now. A responder would otherwise detect it only when writing its answer.
      if (this.messageCount === 0) this.curve.dh(copy, anyPair);
      this.payload = Uint8Array.from(this.noise.recv(copy));
    } catch {
      return false;
    }
    const { rs } = this.noise;
    if (rs !== null) this.remoteKey = Uint8Array.from(rs);
    return true;
  }

  private get isOwnTurn(): boolean {
    return (this.messageCount % 2 === 0) === this.isInitiator;
  }

  private get isLast(): boolean {
    return this.messageCount === messageSizesBytes.length - 1;
  }

  private countMessage(): void {
    this.messageCount++;
    if (this.isLast) this.hash = Uint8Array.from(this.noise.getHandshakeHash());
    if (this.messageCount < messageSizesBytes.length) return;
    this.isOver = true;
    const { tx, rx } = this.noise;
    assert(tx !== null && rx !== null, 'three messages make a handshake of XX');
    this.keys = { send: Uint8Array.from(tx), receive: Uint8Array.from(rx) };
  }
}
