/** Limits on the resources that unauthenticated senders can consume at a receiver (SESSIONS 3.14). */

export const handshakeLimits = {
  /**
   * Maximum number of pending handshakes: about as many as can begin within `handshakeMs`, the time for which
   * each is kept.
   */
  handshakes: 1024,
  handshakeMs: 5_000,
  /**
   * Maximum number of handshakes per second. The limit is lower if that many handshakes would use more than
   * `handshakeShare` of a processor.
   */
  handshakesPerSec: 200,
  handshakeShare: 0.1,
  /** Maximum number of handshakes in one turn of the event loop. */
  handshakeBurst: 8,
  hellosPerSec: 1000,
  helloBurst: 64,
  /** Maximum length of the queue of `hello` packets, and of the queue of `open` packets. */
  waiting: 64,
  /** Maximum time that a `hello` or `open` packet waits in its queue. */
  waitMs: 1000,
  /** Minimum time between two identical answers to one handshake. */
  repeatMs: 20,
  /** Period of the cookies. A cookie is valid for one to two periods. */
  cookieMs: 30_000,
} as const;
