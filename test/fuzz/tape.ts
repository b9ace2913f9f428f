/**
 * An input of the fuzzer: bytes that decide one action after another. A single description of
 * hostile behaviour is thus driven by random bytes, by fast-check, which minimizes them, and by a
 * corpus that is mutated step by step. Any run can be printed and repeated as hexadecimal digits.
 */
import { assert } from '../../src/base/assert.js';

export class Tape {
  private place = 0;

  constructor(readonly bytes: Uint8Array) {}

  get isOver(): boolean {
    return this.place >= this.bytes.length;
  }

  /** 0..255; 0 after the end. */
  byte(): number {
    return this.place < this.bytes.length ? (this.bytes[this.place++] as number) : 0;
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte();
  }

  uint32(): number {
    return ((this.uint16() << 16) | this.uint16()) >>> 0;
  }

  /** From 0 to below `count`, which is at most 65,536. */
  below(count: number): number {
    assert(count >= 1 && count <= 65_536, 'a choice of 1 to 65,536');
    return count <= 256 ? (this.byte() * count) >>> 8 : (this.uint16() * count) >>> 16;
  }

  /** True with a probability of 1 in `count`. */
  isOneIn(count: number): boolean {
    // Not after the end of the tape, so that short tapes do nothing rare.
    return this.below(count) === count - 1;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /**
   * The first bytes come from the tape, so that a search can set each; the others follow from them.
   */
  fill(sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    const ownBytes = Math.min(sizeBytes, mostOwnBytes);
    for (let i = 0; i < ownBytes; i++) bytes[i] = this.byte();
    if (sizeBytes > ownBytes) fillRandom(bytes.subarray(ownBytes), 1 + this.uint32());
    return bytes;
  }
}

const mostOwnBytes = 48;

/** Bytes derived from a number by xorshift (Marsaglia 2003); drawing each one would be slow. */
export function fillRandom(bytes: Uint8Array, seed: number): void {
  let state = mix(seed) | 1;
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
}

/** Spreads a number over all 32 bits. */
export function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** The input with this number: mostly short, sometimes long enough to reach limits. */
export function tapeOf(seed: number, target: string, number: number): Uint8Array {
  let state = mix(seed + 1);
  for (let i = 0; i < target.length; i++) state = mix(state ^ target.charCodeAt(i));
  state = mix(mix(state + number) + Math.floor(number / 2 ** 32));
  const isLong = number % longEvery === longEvery - 1;
  const bytes = new Uint8Array(isLong ? longTapeBytes : 16 + (state % shortTapeBytes));
  fillRandom(bytes, state);
  // Zeros choose plain behaviour: some inputs should get far before something goes wrong.
  if (state % 4 === 0) for (let i = 0; i < bytes.length; i += 1 + (state % 3)) bytes[i] = 0;
  return bytes;
}

const shortTapeBytes = 1000;
const longTapeBytes = 40_000;
const longEvery = 400;

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
