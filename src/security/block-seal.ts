/**
 * Encrypts and authenticates whole blocks under the group key, which each receiver gets on its own channel.
 * The nonce consists of the generation and the block number. A sender must therefore never seal different
 * bytes for the same block and generation: a nonce must never encrypt two plaintexts.
 */
import { isEqualBytes } from '../wire/byte-codec.js';
import { nonceSizeBytes, tagSizeBytes } from '../wire/sizes.js';
import type { SessionCrypto } from './crypto.js';

export class BlockSeal {
  private readonly dataKey: Uint8Array;
  private readonly tagKey: Uint8Array;
  private readonly nonce = new Uint8Array(nonceSizeBytes);
  private readonly nonceView = new DataView(this.nonce.buffer);

  constructor(
    private readonly crypto: SessionCrypto,
    groupKey: Uint8Array,
  ) {
    const encoder = new TextEncoder();
    this.dataKey = crypto.mac(groupKey, encoder.encode('p2mp data'));
    this.tagKey = crypto.mac(groupKey, encoder.encode('p2mp tag'));
  }

  seal(block: number, generation: number, plaintext: Uint8Array): Uint8Array {
    return this.crypto.seal(this.dataKey, this.nonceOf(block, generation), plaintext, nothing);
  }

  open(block: number, generation: number, sealed: Uint8Array): Uint8Array | undefined {
    return this.crypto.open(this.dataKey, this.nonceOf(block, generation), sealed, nothing);
  }

  /** Computes the tag of one datagram from its header and body. */
  tag(header: Uint8Array, body: Uint8Array): Uint8Array {
    return this.crypto.mac(this.tagKey, header, body).subarray(0, tagSizeBytes);
  }

  hasTag(header: Uint8Array, body: Uint8Array, tag: Uint8Array): boolean {
    return isEqualBytes(this.tag(header, body), tag);
  }

  private nonceOf(block: number, generation: number): Uint8Array {
    this.nonceView.setUint32(0, generation);
    this.nonceView.setUint32(8, block);
    return this.nonce;
  }
}

const nothing = new Uint8Array(0);
