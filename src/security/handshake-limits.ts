/** What strangers may cost a receiver before they are known (SESSIONS 3.13). Units stand last in a name. */

export const handshakeLimits = {
  /** Handshakes that were begun, each for `handshakeMs`: as many as can be begun in that time. */
  handshakes: 1024,
  handshakeMs: 5_000,
  /** Handshakes each second; fewer where they would take more than this share of a processor. */
  handshakesPerSec: 200,
  handshakeShare: 0.1,
  /** Handshakes in one turn of the event loop. */
  handshakeBurst: 8,
  hellosPerSec: 1000,
  helloBurst: 64,
  /** Hellos, and openings with a cookie, that wait for their turn; and for how long. */
  waiting: 64,
  waitMs: 1000,
  /** The shortest time between two equal answers to one opening. */
  repeatMs: 20,
  /** A cookie is good for one to two of these. */
  cookieMs: 30_000,
} as const;
