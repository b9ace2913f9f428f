/** Writes and reads the fields of messages: whole numbers in network byte order, counted bytes and text. */
import { assert } from '../base/assert.js';

// Shared by all calls, because creating an encoder or a decoder costs more than decoding a name. Neither
// keeps state between calls.
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Maximum number of UTF-8 bytes per UTF-16 code unit. */
const maxBytesPerUnit = 3;

export class ByteWriter {
  private bytes = new Uint8Array(256);
  private length = 0;

  get sizeBytes(): number {
    return this.length;
  }

  uint8(value: number): this {
    this.reserve(1);
    this.bytes[this.length++] = value;
    return this;
  }

  uint16(value: number): this {
    return this.uint8(value >>> 8).uint8(value);
  }

  uint32(value: number): this {
    return this.uint16(value >>> 16).uint16(value);
  }

  /** Writes a whole number from 0 to 2^53 - 1 with seven bits in each byte, low bits first (LEB128). */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint is a whole number from 0 on');
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.uint8((rest % 128) | 128);
    return this.uint8(rest);
  }

  float64(value: number): this {
    this.reserve(8);
    new DataView(this.bytes.buffer).setFloat64(this.length, value);
    this.length += 8;
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** Writes the number of bytes, then the bytes. */
  counted(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  text(text: string): this {
    const mostBytes = maxBytesPerUnit * text.length;
    // The length comes first. Long text is encoded separately, because its length may need several bytes.
    // Short text is encoded in place, after the one byte of its length.
    if (mostBytes >= 128) return this.counted(encoder.encode(text));
    this.reserve(1 + mostBytes);
    const { written } = encoder.encodeInto(text, this.bytes.subarray(this.length + 1));
    this.bytes[this.length] = written;
    this.length += 1 + written;
    return this;
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private reserve(sizeBytes: number): void {
    if (this.length + sizeBytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.length + sizeBytes));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

/**
 * Reads untrusted bytes. A read past the end, or an invalid number, sets `isGood` to false permanently and
 * yields zeros. Callers can therefore check `isGood` once, after the last field.
 */
export class ByteReader {
  isGood = true;
  private offset = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get remainingBytes(): number {
    return this.bytes.length - this.offset;
  }

  uint8(): number {
    const value = this.bytes[this.offset];
    if (value === undefined) this.isGood = false;
    else this.offset++;
    return value ?? 0;
  }

  uint16(): number {
    return (this.uint8() << 8) | this.uint8();
  }

  uint32(): number {
    return ((this.uint16() << 16) | this.uint16()) >>> 0;
  }

  varint(): number {
    let value = 0;
    for (let unit = 1; unit <= 2 ** 49; unit *= 128) {
      const byte = this.uint8();
      value += (byte & 127) * unit;
      if (byte < 128) {
        if (Number.isSafeInteger(value)) return value;
        break;
      }
    }
    this.isGood = false;
    return 0;
  }

  float64(): number {
    if (this.remainingBytes < 8) this.isGood = false;
    if (!this.isGood) return 0;
    const { buffer, byteOffset } = this.raw(8);
    return new DataView(buffer, byteOffset).getFloat64(0);
  }

  /** Reads bytes as a view, not a copy. */
  raw(sizeBytes: number): Uint8Array {
    if (sizeBytes > this.remainingBytes) {
      this.isGood = false;
      return new Uint8Array(0);
    }
    const start = this.offset;
    this.offset += sizeBytes;
    return this.bytes.subarray(start, this.offset);
  }

  counted(): Uint8Array {
    return this.raw(this.varint());
  }

  /** @returns the text. If the bytes are not valid UTF-8, the text is empty and `isGood` becomes false. */
  text(): string {
    const text = decodeUtf8(this.counted());
    if (text === undefined) this.isGood = false;
    return text ?? '';
  }
}

/** @returns undefined if the bytes are not valid UTF-8; over-long forms and lone surrogates are invalid */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whether a text takes more than `sizeBytes` bytes in UTF-8. */
export function isLongerUtf8(text: string, sizeBytes: number): boolean {
  return maxBytesPerUnit * text.length > sizeBytes && encoder.encode(text).length > sizeBytes;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += hexOfByte[bytes[i] as number];
  return text;
}

/** Concatenates into new memory. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/**
 * Compares two byte arrays in constant time. If timing revealed the first different byte, an attacker with
 * many attempts could find a tag or a cookie byte by byte. Public keys and digests are not secret, but this
 * function compares them too, so that no caller has to decide (SECURITY, "Comparisons").
 */
export function isEqualBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}
