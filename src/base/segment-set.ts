/** Sets of up to 64 segments as two 32-bit masks, low half first. */

/** Number of bits set in a 32-bit mask. */
export function bitCount(mask: number): number {
  let count = mask - ((mask >>> 1) & 0x55555555);
  count = (count & 0x33333333) + ((count >>> 2) & 0x33333333);
  return Math.imul((count + (count >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Whether `bit` is set in a pair of masks, low half first. */
export function hasBit(low: number, high: number, bit: number): boolean {
  return (((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 1;
}

/** Index of the highest bit set in a pair of masks, low half first; -1 if none. */
export function lastBit(low: number, high: number): number {
  return high === 0 ? 31 - Math.clz32(low) : 63 - Math.clz32(high);
}

/** `mask` with only its `count` lowest set bits; 0 if `count` is below 1. */
export function lowestSet(mask: number, count: number): number {
  let rest = mask;
  let kept = 0;
  for (let i = 0; i < count && rest !== 0; i++) {
    kept |= rest & -rest;
    rest &= rest - 1;
  }
  return kept;
}

/** A mask in which the lowest `count` bits are set: 0 if `count` is below 1, all ones if it is 32 or more. */
export function lowBits(count: number): number {
  if (count <= 0) return 0;
  return count >= 32 ? 0xffffffff : 2 ** count - 1;
}
