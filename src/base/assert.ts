/**
 * Assertions guard our own invariants: one that fails is a bug in p2mp, never a peer's or a user's fault.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`p2mp: internal error: ${message}`);
}

/** The value at `index`, which the caller knows to be there. */
export function at<T>(list: ArrayLike<T>, index: number): T {
  assert(index >= 0 && index < list.length, `index ${index} of ${list.length}`);
  return list[index] as T;
}
