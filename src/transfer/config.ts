/** Limits and defaults of sessions. */

export const sessionDefaults = {
  /**
   * Fits into the 1,500-byte Ethernet MTU together with the headers of the session (16 bytes), UDP (8) and IP
   * (20 or 40).
   */
  mssBytes: 1400,
  /** The liveness timeout: a receiver that is silent for this long fails. */
  livenessTimeoutMs: 30_000,
  /** Maximum number of reports per second that reach the sender, whatever the number of receivers. */
  reportsPerSec: 1000,
  /** Share of `reportsPerSec` for scheduled reports. The rest is for answers to polls. */
  turnShare: 0.7,
  /** Minimum interval between scheduled reports of one receiver. */
  minReportIntervalMs: 1,
  /** Maximum payload in flight. It limits the sender's memory use. */
  maxInFlightBytes: 32 * 1024 * 1024,
} as const;

/** Timing of repeated requests and of polls. */
export const retryTiming = {
  firstMs: 100,
  growth: 1.6,
  maxMs: 1000,
  /**
   * How long the sender waits for further receivers before it sends data. The wait is `graceMs` plus
   * `graceReports` report intervals after the first receiver is ready.
   */
  graceMs: 1000,
  graceReports: 2.5,
  /** Additional wait if a receiver answers only small hellos, so that its path MTU can be determined. */
  narrowGraceMs: 2000,
  /** Time to wait for answers to a multicast probe. */
  probeWaitMs: 150,
  /**
   * Maximum number of attempts at one handshake step before the handshake restarts. The limit is
   * `firstOfferLimit` at first. It grows with each restart, up to `offerLimit`.
   */
  firstOfferLimit: 3,
  offerLimit: 8,
  /** Minimum time between two polls of one receiver. The time doubles with each unanswered poll. */
  pollMs: 20,
  /** If a poll stays unanswered and nothing was heard of the receiver for this time, it holds up no others. */
  lateMs: 500,
  /** Number of unanswered polls after which a receiver counts as silent. */
  pollLimit: 5,
  /** The sender polls an active receiver after this time without a message from that receiver. */
  quietMs: 1000,
} as const;

/** A receiver cannot ask a session to send less than a modem carries, 128 kbit/s. */
export const leastShareBytesPerSec = 16_000;

/**
 * When a session uses only one of its paths, because many sessions arrive at the receiver at once, and when it uses the
 * others again. The numbers of rounds are those of AMP: of its authors' simulations in a data center (FatTree.cc of
 * github.com/mkheirkhah/amp; those of a single port, incast.cc there, wait 10 rounds before the onset).
 */
export const incastThresholds = {
  /** Number of round trips in which the share of the session stays too small for several paths. */
  onsetRounds: 3,
  /** Number of round trips in which the share is large enough again, or there is no limit. */
  endRounds: 8,
  /** The share is too small if it is less than this window for each path, in datagrams: the smallest one of BBR. */
  leastWindow: 4,
  /** The others return only if it is this many times as large, so that they do not come and go. */
  returnFactor: 2,
  /** If one path carries less than `carriedPart` of the share for `uncarriedRounds`, all paths are used for a while. */
  carriedPart: 0.8,
  uncarriedRounds: 16,
  uncarriedRestMs: 60_000,
} as const;
