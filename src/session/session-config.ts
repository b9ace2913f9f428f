/** Limits and defaults of the session dialect, in one place. Units stand last in a name. */

/** In the header, so that both sides know at once when they cannot talk. */
export const protocolVersion = 1;

export const sessionDefaults = {
  /** With headers of 16, 8 and 20 bytes, or 40 for IPv6, well below an Ethernet frame's 1,500. */
  mssBytes: 1400,
  /** A receiver that is silent for this long is given up on. */
  giveUpAfterMs: 30_000,
  /** Reports that may reach the sender each second, whatever the number of receivers. */
  reportsPerSec: 1000,
  /** Of these, the share that receivers send in their turn; the rest is for those who are asked. */
  turnShare: 0.7,
  /** The shortest time between two reports of one receiver. */
  minReportIntervalMs: 1,
  /** Most payload in flight: bounds the sender's memory. */
  maxInFlightBytes: 32 * 1024 * 1024,
} as const;

/** How often the sender repeats what opens a session, and asks who is silent. */
export const callTiming = {
  firstMs: 100,
  growth: 1.6,
  maxMs: 1000,
  /** How long the first receivers wait for the others before data flows; and for how many reports. */
  graceMs: 1000,
  graceReports: 2.5,
  /** How much longer for one that answers small hellos: soon it shows whether its path is narrow. */
  narrowGraceMs: 2000,
  /** How long answers to a probe of the group are waited for. */
  probeWaitMs: 150,
  /** Repetitions of one step of the opening, before it begins anew: so many more with each, up to a limit. */
  firstOfferLimit: 3,
  offerLimit: 8,
  /** The shortest time between two polls of one receiver; it doubles with each. */
  pollMs: 20,
  /** Unanswered polls after which a receiver is no longer waited for. */
  pollLimit: 5,
  /** Silence after which a receiver that should be at work is asked whether it is there. */
  quietMs: 1000,
} as const;

export const receiverLimits = {
  sessions: 256,
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
  /** Of all sessions together: blocks being put together, and not yet written. */
  bufferBytes: 48 * 1024 * 1024,
  /** Silence of the sender after which a session is over; its part stays. */
  idleMs: 60_000,
  /** The same where another session waits for its end. */
  awaitedIdleMs: 3_000,
  /** A cookie is good for one to two of these. */
  cookieMs: 30_000,
  /** Repetitions of a result that the sender does not confirm. */
  doneRepeats: 8,
} as const;

/** Largest control message, sealed: it goes in one datagram on any path. */
export const maxControlSizeBytes = 1200;
