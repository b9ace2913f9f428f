/** Figures that the sender and the receivers of a session compute alike. */

/**
 * Bytes that were held before the session. `heldBytes - receivedBytes` can be negative, because a block that
 * is received twice counts twice in `receivedBytes`.
 */
export function heldBefore(heldBytes: number, receivedBytes: number): number {
  return Math.max(0, heldBytes - receivedBytes);
}

/** @returns lost segments as a share of all segments sent, 0..1 */
export function lossRatioOf(lost: number, received: number): number {
  const sent = lost + received;
  return sent === 0 ? 0 : lost / sent;
}
