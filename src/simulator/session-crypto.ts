/**
 * Fake cryptography for virtual time: fast, seeded, and not secure. As the protocol machines require, `open`
 * fails unless the key, the nonce, the ciphertext and the associated data are those of `seal`.
 */
import { assert } from '../base/assert.js';
import { writeUint32 } from '../base/network-order.js';
import { createRandom } from '../base/random.js';
import type { Handshake, SessionCrypto } from '../security/crypto.js';
import { isEqualBytes, joinBytes, toHex } from '../wire/byte-codec.js';
import { digestSizeBytes, keySizeBytes, tagSizeBytes } from '../wire/sizes.js';

/** Counts reuses of nonces: two different plaintexts sealed with the same key and nonce. */
export class NonceLog {
  reuses = 0;
  private readonly plaintexts = new Map<string, string>();

  add(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): void {
    const use = `${toHex(key)} ${toHex(nonce)}`;
    const met = toHex(digest([plaintext, associated]));
    const known = this.plaintexts.get(use);
    if (known !== undefined && known !== met) this.reuses++;
    this.plaintexts.set(use, met);
  }
}

/** The public key of a simulated host. */
export function simulatedKey(name: string): Uint8Array {
  return digest([new TextEncoder().encode(name)]);
}

/**
 * Creates the fake cryptography of one host.
 * @param name seeds the random bytes and determines the host's key
 * @param nonces records the key and nonce of each call of `seal`
 */
export function createSimulatedCrypto(
  seed: string,
  name: string,
  nonces?: NonceLog,
): SessionCrypto {
  const random = createRandom(`${seed} crypto ${name}`);
  const ownKey = simulatedKey(name);
  const bytesOf = (sizeBytes: number) => {
    const bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) bytes[i] = Math.floor(random() * 256);
    return bytes;
  };
  return {
    random: bytesOf,
    hash: (...parts) => digest(parts),
    startHash: () => {
      const parts: Uint8Array[] = [];
      return {
        update: (bytes) => void parts.push(bytes),
        digest: () => digest([joinBytes(parts)]),
      };
    },
    mac: (key, ...parts) => digest([key, ...parts]),
    seal: (key, nonce, plaintext, associated) => {
      nonces?.add(key, nonce, plaintext, associated);
      const sealed = new Uint8Array(plaintext.length + tagSizeBytes);
      sealed.set(plaintext);
      sealed.set(tagOf(key, nonce, plaintext, associated), plaintext.length);
      return sealed;
    },
    open: (key, nonce, sealed, associated) => {
      const end = sealed.length - tagSizeBytes;
      if (end < 0) return undefined;
      const plaintext = sealed.slice(0, end);
      const tag = tagOf(key, nonce, plaintext, associated);
      return isEqualBytes(tag, sealed.subarray(end)) ? plaintext : undefined;
    },
    handshakeCostMs: 0.5,
    startHandshake: (role, prologue) =>
      new SimulatedHandshake(role, prologue, ownKey, bytesOf(keySizeBytes)),
    sealEnvelope: (receiverKey, prologue, payload) =>
      joinBytes([ownKey, digest([ownKey, receiverKey, prologue, payload]), payload]),
    openEnvelope: (prologue, envelope) => {
      const senderKey = envelope.slice(0, keySizeBytes);
      const proof = envelope.subarray(keySizeBytes, keySizeBytes + digestSizeBytes);
      const payload = envelope.slice(keySizeBytes + digestSizeBytes);
      const expected = digest([senderKey, ownKey, prologue, payload]);
      return isEqualBytes(proof, expected) ? { senderKey, payload } : undefined;
    },
  };
}

/**
 * Creates the fake cryptography of one machine of a host. All machines of a host have one key, the same in each life; their
 * random bytes differ.
 * @param machine what the machine is for, and in which life of the host
 */
export function createMachineCrypto(seed: string, host: string, machine: string): SessionCrypto {
  const { random } = createSimulatedCrypto(seed, `${host} ${machine}`);
  return { ...createSimulatedCrypto(seed, host), random };
}

/**
 * Three messages as in Noise XX: each side sends an ephemeral key, then its static key with a
 * digest of the transcript. Nothing is encrypted, not even the payload.
 */
class SimulatedHandshake implements Handshake {
  remoteKey: Uint8Array | undefined;
  hash: Uint8Array | undefined;
  payload: Uint8Array | undefined;
  keys: Handshake['keys'];
  private remoteEphemeral: Uint8Array | undefined;
  private step: number;

  constructor(
    private readonly role: 'initiator' | 'responder',
    private readonly prologue: Uint8Array,
    private readonly ownKey: Uint8Array,
    private readonly ephemeral: Uint8Array,
  ) {
    this.step = role === 'initiator' ? 0 : 1;
  }

  write(payload = new Uint8Array(0)): Uint8Array {
    const { role, step, ephemeral, ownKey } = this;
    this.step += 2;
    if (role === 'initiator' && step === 0) return ephemeral.slice();
    const proof = digest([ownKey, payload, ...this.transcript()]);
    if (role === 'initiator') {
      this.finish();
      return joinBytes([ownKey, proof, payload]);
    }
    this.hash = digest(this.transcript());
    return joinBytes([ephemeral, ownKey, proof]);
  }

  read(message: Uint8Array): boolean {
    const { role, remoteEphemeral } = this;
    if (role === 'responder' && remoteEphemeral === undefined) {
      this.remoteEphemeral = message.slice(0, keySizeBytes);
      return message.length === keySizeBytes;
    }
    let rest = message;
    if (role === 'initiator') {
      this.remoteEphemeral = message.slice(0, keySizeBytes);
      rest = message.subarray(keySizeBytes);
    }
    const key = rest.slice(0, keySizeBytes);
    const proof = rest.subarray(keySizeBytes, keySizeBytes + digestSizeBytes);
    const payload = rest.slice(keySizeBytes + digestSizeBytes);
    const expected = digest([key, payload, ...this.transcript()]);
    if (proof.length !== digestSizeBytes || !expected.every((b, i) => b === proof[i])) return false;
    this.remoteKey = key;
    if (role === 'responder') {
      this.payload = payload;
      this.finish();
    } else {
      this.hash = digest(this.transcript());
    }
    return true;
  }

  private transcript(): Uint8Array[] {
    const { role, ephemeral, remoteEphemeral, prologue } = this;
    assert(remoteEphemeral !== undefined, 'the other side spoke first');
    return role === 'initiator'
      ? [prologue, ephemeral, remoteEphemeral]
      : [prologue, remoteEphemeral, ephemeral];
  }

  private finish(): void {
    const forth = digest([Uint8Array.of(1), ...this.transcript()]);
    const back = digest([Uint8Array.of(2), ...this.transcript()]);
    const isInitiator = this.role === 'initiator';
    this.keys = isInitiator ? { send: forth, receive: back } : { send: back, receive: forth };
  }
}

function tagOf(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  return digest([key, nonce, plaintext, associated]).subarray(0, tagSizeBytes);
}

/**
 * A hash based on FNV-1a. A final mix produces eight words. Well distributed, but not collision-resistant.
 */
function digest(parts: readonly Uint8Array[]): Uint8Array {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (const part of parts) {
    a = Math.imul(a ^ part.length, 0x01000193);
    // Four bytes at a time, because each step waits for the one before.
    let i = 0;
    for (; i + 4 <= part.length; i += 4) {
      const low = (part[i] as number) | ((part[i + 1] as number) << 8);
      const high = (part[i + 2] as number) | ((part[i + 3] as number) << 8);
      a = Math.imul(a ^ low ^ (high << 16), 0x01000193);
      b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 15);
    }
    for (; i < part.length; i++) {
      a = Math.imul(a ^ (part[i] as number), 0x01000193);
      b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 15);
    }
  }
  const bytes = new Uint8Array(digestSizeBytes);
  for (let lane = 0; lane < 8; lane++) {
    a = Math.imul(a ^ (a >>> 16) ^ lane, 0x85ebca6b);
    b = Math.imul(b ^ (b >>> 13) ^ a, 0xc2b2ae35);
    const word = a ^ b ^ (b >>> 16);
    writeUint32(bytes, 4 * lane, word);
  }
  return bytes;
}
