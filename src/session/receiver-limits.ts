/** Limits on the resources that sessions can use at a receiver. */

export const receiverLimits = {
  sessions: 256,
  /** Maximum memory for the partial blocks and unwritten content of all sessions together. */
  bufferBytes: 48 * 1024 * 1024,
  /**
   * Idle timeout: a session ends when its sender has been silent for this long. The received part is kept.
   */
  idleMs: 60_000,
  /** Idle timeout while another session is waiting for the same object. */
  awaitedIdleMs: 3_000,
  /** Maximum number of repetitions of an unconfirmed result. */
  doneRepeats: 8,
} as const;
