/** Limits and defaults of sessions. Units come last in a name. */

export const sessionDefaults = {
  /** With headers of 16, 8 and 20 bytes, or 40 for IPv6, well below an Ethernet frame's 1,500. */
  mssBytes: 1400,
  /** The liveness timeout: a receiver that is silent for this long fails. */
  livenessTimeoutMs: 30_000,
  /** Reports that may reach the sender per second, whatever the number of receivers. */
  reportsPerSec: 1000,
  /** The share of these reports that are sent in turns; the rest answers polls. */
  turnShare: 0.7,
  /** The shortest time between two reports of one receiver. */
  minReportIntervalMs: 1,
  /** The most payload in flight; it bounds the sender's memory. */
  maxInFlightBytes: 32 * 1024 * 1024,
} as const;

/** How often the sender repeats requests and polls silent receivers. */
export const retryTiming = {
  firstMs: 100,
  growth: 1.6,
  maxMs: 1000,
  /** How long the first receivers wait for the others before data flows: a time plus report intervals. */
  graceMs: 1000,
  graceReports: 2.5,
  /** Extra grace for a receiver that answers small hellos only, until its path MTU is known. */
  narrowGraceMs: 2000,
  /** How long to wait for answers to a multicast probe. */
  probeWaitMs: 150,
  /** Repetitions of one handshake step before the handshake restarts; the number grows with each restart. */
  firstOfferLimit: 3,
  offerLimit: 8,
  /** The shortest time between two polls of one receiver; it doubles with each unanswered poll. */
  pollMs: 20,
  /** Unanswered polls after which a receiver counts as silent. */
  pollLimit: 5,
  /** Silence after which an active receiver is polled. */
  quietMs: 1000,
} as const;
