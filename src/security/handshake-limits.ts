/** Limits on what unauthenticated senders may cost a receiver (SESSIONS 3.14). Units come last in a name. */

export const handshakeLimits = {
  /** The most pending handshakes. Each is kept for `handshakeMs`, and about this many can begin in that time. */
  handshakes: 1024,
  handshakeMs: 5_000,
  /** The most handshakes per second. Fewer are allowed if they would take more than this share of a processor. */
  handshakesPerSec: 200,
  handshakeShare: 0.1,
  /** The most handshakes in one turn of the event loop. */
  handshakeBurst: 8,
  hellosPerSec: 1000,
  helloBurst: 64,
  /** The most queued hellos, which is also the most queued opens, and the longest time that they wait. */
  waiting: 64,
  waitMs: 1000,
  /** The shortest time between two identical answers to one handshake. */
  repeatMs: 20,
  /** A cookie is valid for one to two of these periods. */
  cookieMs: 30_000,
} as const;
