/** What sessions may cost a receiver. Units stand last in a name. */

export const receiverLimits = {
  sessions: 256,
  /** Of all sessions together: blocks being put together, and not yet written. */
  bufferBytes: 48 * 1024 * 1024,
  /** Silence of the sender after which a session is over; its part stays. */
  idleMs: 60_000,
  /** The same where another session waits for its end. */
  awaitedIdleMs: 3_000,
  /** Repetitions of a result that the sender does not confirm. */
  doneRepeats: 8,
} as const;
