/** Asserts an invariant of p2mp. A failed assertion is a bug in p2mp, never the fault of a peer or a user. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`p2mp: internal error: ${message}`);
}

/** The element at `index`; asserts that the index is in range. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  assert(index >= 0 && index < list.length, `index ${index} of ${list.length}`);
  return list[index] as T;
}
