/**
 * The Internet checksum of RFC 1071 (one's complement of the one's complement sum of 16-bit words,
 * in network byte order), as PROTOCOL 2.3 uses it on the payload alone.
 */

/** Where the last byte of an odd length stands in its 16-bit word; RFC 1071 says high. */
export type OddByteHalf = 'high' | 'low';

/**
 * @param bytes up to 65,535 bytes
 * @returns the checksum, 0..0xFFFF; 0xFFFF for no bytes at all
 */
export function internetChecksum(bytes: Uint8Array, oddByteHalf: OddByteHalf = 'high'): number {
  const { length } = bytes;
  const evenLength = length & ~1;
  let sum = 0;
  // No carry is lost before the fold: 32,767 words of at most 0xFFFF stay below 2^31.
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

/** One's complement has two zeros, 0x0000 and 0xFFFF: programs differ in which one they send. */
export function sameChecksum(a: number, b: number): boolean {
  return a === b || ((a === 0 || a === 0xffff) && (b === 0 || b === 0xffff));
}
