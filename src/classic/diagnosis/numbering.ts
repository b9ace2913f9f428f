/** Common ways of numbering segments that differ from the protocol (PROTOCOL 3.1). */

/**
 * Explains an unexpected sequence number.
 * @param expected the next sequence number
 * @param sizeBytes size of the first segment; a program may count in units of this size
 * @returns the likely mistake; undefined if none fits
 */
export function numberingMistake(
  sequence: number,
  expected: number,
  sizeBytes: number,
): string | undefined {
  const isFirst = expected === 0;
  // If segments are tiny, a byte offset may look like a segment number.
  const bytesExpected = isFirst ? sizeBytes : expected * sizeBytes;
  if (sequence === bytesExpected && sequence > 1) {
    return 'its sender counts bytes, but the protocol counts segments';
  }
  if (expected > 0 && swapBytes(sequence) === expected) return lowByteFirst;
  if (!isFirst) return undefined;
  if (sequence === 1) return 'its sender numbers from 1, but the protocol numbers from 0';
  if (swapBytes(sequence) === 1) return `${lowByteFirst}; and it numbers from 1, not from 0`;
  return undefined;
}

const lowByteFirst =
  'its sender writes numbers with the low byte first, but the protocol has the high byte first';

/** Reverses the bytes of a 32-bit number. */
export function swapBytes(value: number): number {
  const [a, b, c, d] = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  return (((d ?? 0) << 24) | ((c ?? 0) << 16) | ((b ?? 0) << 8) | (a ?? 0)) >>> 0;
}
