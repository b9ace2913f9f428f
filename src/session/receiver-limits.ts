/** Limits on the resources that sessions may use at a receiver. Units come last in a name. */

export const receiverLimits = {
  sessions: 256,
  /** Memory of all sessions together for partial blocks and unwritten content. */
  bufferBytes: 48 * 1024 * 1024,
  /** The idle timeout: the session ends after this silence of its sender, and its part is kept. */
  idleMs: 60_000,
  /** The idle timeout while another session is waiting. */
  awaitedIdleMs: 3_000,
  /** How often an unconfirmed result is repeated. */
  doneRepeats: 8,
} as const;
