/** Limits how often the interfaces of this host are looked up. */

/** Time for which a result is reused, so that a flood does not cause a lookup for each datagram. */
const reuseMs = 1000;

/** @returns a function that returns the result of `look`, which is called at most once per second */
export function reusedLookup<T>(look: () => T): () => T {
  let last: { readonly value: T; readonly atMs: number } | undefined;
  return () => {
    const nowMs = performance.now();
    if (last === undefined || nowMs - last.atMs >= reuseMs) last = { value: look(), atMs: nowMs };
    return last.value;
  };
}
