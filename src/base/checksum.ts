/**
 * The Internet checksum of RFC 1071 (one's complement of the one's complement sum of 16-bit words,
 * in network byte order), applied to the payload alone (PROTOCOL 2.3).
 */

/** Which half of the last 16-bit word holds an odd last byte. RFC 1071 specifies the high half. */
export type OddByteHalf = 'high' | 'low';

/**
 * Computes the Internet checksum.
 * @param bytes up to 65,535 bytes
 * @returns the checksum, 0..0xFFFF; 0xFFFF for empty input
 * @example
 * ```ts
 * import { internetChecksum } from 'p2mp/core';
 *
 * console.log(internetChecksum(Uint8Array.of(0x12, 0x34)).toString(16)); // edcb
 * ```
 */
export function internetChecksum(bytes: Uint8Array, oddByteHalf: OddByteHalf = 'high'): number {
  const { length } = bytes;
  const evenLength = length & ~1;
  let sum = 0;
  // The sum of 32,767 words of at most 0xFFFF stays below 2^31, so no carry is lost before folding.
  for (let i = 0; i < evenLength; i += 2) {
    sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
  }
  if (evenLength < length) {
    const last = bytes[evenLength] as number;
    sum += oddByteHalf === 'high' ? last << 8 : last;
  }
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/**
 * Whether two checksums are equal. 0x0000 and 0xFFFF count as equal, because both represent zero and some
 * programs send one, some the other.
 * @example
 * ```ts
 * import { sameChecksum } from 'p2mp/core';
 *
 * console.log(sameChecksum(0, 0xffff)); // true
 * ```
 */
export function sameChecksum(a: number, b: number): boolean {
  return a === b || ((a === 0 || a === 0xffff) && (b === 0 || b === 0xffff));
}
