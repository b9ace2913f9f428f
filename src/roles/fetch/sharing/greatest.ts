/**
 * @param isGood true up to some number, and false above it
 * @returns the greatest good number from 1 to `most`; 0 if there is none
 */
export function greatest(most: number, isGood: (value: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (isGood(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
