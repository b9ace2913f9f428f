/** Common mistakes in numbering segments (PROTOCOL 3.1). */

/**
 * Explains an unexpected sequence number.
 * @param expected the sequence number that should come next
 * @param sizeBytes payload size of the first segment
 * @returns the likely mistake; undefined if no common mistake fits
 */
export function numberingMistake(
  sequence: number,
  expected: number,
  sizeBytes: number,
): string | undefined {
  const isFirst = expected === 0;
  // With segments of one byte, a byte offset of 1 cannot be distinguished from segment number 1.
  const bytesExpected = isFirst ? sizeBytes : expected * sizeBytes;
  if (sequence === bytesExpected && sequence > 1) {
    return 'the sender counts bytes, but the protocol counts segments';
  }
  if (expected > 0 && swapBytes(sequence) === expected) return lowByteFirst;
  if (!isFirst) return undefined;
  if (sequence === 1) return 'the sender numbers from 1, but the protocol numbers from 0';
  if (swapBytes(sequence) === 1)
    return `${lowByteFirst}; the sender also numbers from 1, but the protocol numbers from 0`;
  return undefined;
}

const lowByteFirst =
  'the sender writes numbers with the low byte first, but the protocol puts the high byte first';

/** Reverses the bytes of a 32-bit number. */
export function swapBytes(value: number): number {
  const [a, b, c, d] = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  return (((d ?? 0) << 24) | ((c ?? 0) << 16) | ((b ?? 0) << 8) | (a ?? 0)) >>> 0;
}
