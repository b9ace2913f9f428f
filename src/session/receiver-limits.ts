/** Limits on the resources that sessions may use at a receiver. Units come last in a name. */

export const receiverLimits = {
  sessions: 256,
  /** The most memory that all sessions together use for partial blocks and unwritten content. */
  bufferBytes: 48 * 1024 * 1024,
  /** The idle timeout. If its sender is silent for this long, a session ends and the received part is kept. */
  idleMs: 60_000,
  /** The idle timeout while another session is waiting. */
  awaitedIdleMs: 3_000,
  /** How often an unconfirmed result is repeated. */
  doneRepeats: 8,
} as const;
