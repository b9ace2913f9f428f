/** Limits and defaults of sessions. Units come last in a name. */

export const sessionDefaults = {
  /** With the headers of the session (16 bytes), UDP (8) and IP (20 or 40), this stays below the 1,500 of Ethernet. */
  mssBytes: 1400,
  /** The liveness timeout: a receiver that is silent for this long fails. */
  livenessTimeoutMs: 30_000,
  /** The most reports that may reach the sender per second, whatever the number of receivers. */
  reportsPerSec: 1000,
  /** The share of these reports that receivers send in turn. The others are answers to polls. */
  turnShare: 0.7,
  /** The shortest time between two reports of one receiver. */
  minReportIntervalMs: 1,
  /** The most payload in flight, which bounds the sender's memory. */
  maxInFlightBytes: 32 * 1024 * 1024,
} as const;

/** How often the sender repeats requests and polls silent receivers. */
export const retryTiming = {
  firstMs: 100,
  growth: 1.6,
  maxMs: 1000,
  /** The first receivers wait this long for the others before data flows: `graceMs` and so many report intervals. */
  graceMs: 1000,
  graceReports: 2.5,
  /** Extra time to find out the path MTU of a receiver that answers only small hellos. */
  narrowGraceMs: 2000,
  /** How long to wait for answers to a multicast probe. */
  probeWaitMs: 150,
  /** How often one step is repeated before the handshake restarts. The first limit grows with each restart. */
  firstOfferLimit: 3,
  offerLimit: 8,
  /** The shortest time between two polls of one receiver; it doubles with each unanswered poll. */
  pollMs: 20,
  /** Unanswered polls after which a receiver counts as silent. */
  pollLimit: 5,
  /** Silence after which an active receiver is polled. */
  quietMs: 1000,
} as const;
