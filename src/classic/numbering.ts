/** Common ways to number segments other than the protocol does (PROTOCOL 3.1). */

/**
 * @param expected the number that comes next
 * @param sizeBytes of the first segment, by which a program may count
 * @returns the likely mistake; undefined where nothing speaks for one
 */
export function numberingMistake(
  sequence: number,
  expected: number,
  sizeBytes: number,
): string | undefined {
  const isFirst = expected === 0;
  // A number in bytes can be mistaken for one in segments where segments are tiny.
  const bytesExpected = isFirst ? sizeBytes : expected * sizeBytes;
  if (sequence === bytesExpected && sequence > 1) {
    return 'its sender counts bytes, where the protocol counts segments';
  }
  if (expected > 0 && swapBytes(sequence) === expected) return lowByteFirst;
  if (!isFirst) return undefined;
  if (sequence === 1) return 'its sender numbers from 1, where the protocol numbers from 0';
  if (swapBytes(sequence) === 1) return `${lowByteFirst}; and it numbers from 1, not from 0`;
  return undefined;
}

const lowByteFirst =
  'its sender writes numbers with the low byte first, where the protocol has the high byte first';

export function swapBytes(value: number): number {
  const [a, b, c, d] = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  return (((d ?? 0) << 24) | ((c ?? 0) << 16) | ((b ?? 0) << 8) | (a ?? 0)) >>> 0;
}
