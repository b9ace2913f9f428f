// The part of `noise-handshake` that p2mp uses; it brings no declarations. Only types are taken from
// here: src/node/keys/load-noise.ts loads the library itself.
declare module 'noise-handshake' {
  export interface NoiseKeyPair {
    readonly publicKey: Uint8Array;
    readonly secretKey: Uint8Array;
  }

  /** How it multiplies on its curve. */
  export interface NoiseCurve {
    readonly DHLEN: number;
    readonly PKLEN: number;
    readonly SKLEN: number;
    readonly ALG: string;
    generateKeyPair(): NoiseKeyPair;
    dh(publicKey: Uint8Array, keyPair: NoiseKeyPair): Uint8Array;
  }

  export default class Noise {
    constructor(
      pattern: 'XX',
      isInitiator: boolean,
      keyPair: NoiseKeyPair,
      options: { readonly curve: NoiseCurve },
    );
    /** The remote static key; what it holds is good only once `recv` has returned. */
    readonly rs: Uint8Array | null;
    readonly complete: boolean;
    /** Where complete: the key of what is sent. */
    readonly tx: Uint8Array | null;
    /** Where complete: the key of what is received. */
    readonly rx: Uint8Array | null;
    initialise(prologue: Uint8Array): void;
    send(payload?: Uint8Array): Uint8Array;
    /** A copy of the hash of everything so far. */
    getHandshakeHash(): Uint8Array;
    /** Returns the payload. Keeps views of the message and, at the end, zeroes one; throws where it is none. */
    recv(message: Uint8Array): Uint8Array;
  }
}

/** The state that its handshakes are made of (Noise Protocol Framework, rev. 34, 5.1 and 5.2). */
declare module 'noise-handshake/symmetric-state' {
  import type { NoiseCurve, NoiseKeyPair } from 'noise-handshake';

  export default class SymmetricState {
    constructor(options: { readonly curve: NoiseCurve });
    /** h; 64 bytes, zero at first. */
    readonly digest: Uint8Array;
    /** ck. */
    chainingKey: Uint8Array | null;
    mixHash(data: Uint8Array): void;
    /** Mixes in what the two keys share. */
    mixKey(remoteKey: Uint8Array, localKeys: NoiseKeyPair): void;
    encryptAndHash(plaintext: Uint8Array): Uint8Array;
    /** Throws if authentication fails. */
    decryptAndHash(ciphertext: Uint8Array): Uint8Array;
  }
}
