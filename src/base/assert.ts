/**
 * Asserts one of our own invariants. A failure is a bug in p2mp and never the fault of a peer or a user.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`p2mp: internal error: ${message}`);
}

/** The element at `index`; asserts that the index is in range. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  assert(index >= 0 && index < list.length, `index ${index} of ${list.length}`);
  return list[index] as T;
}
