/** Limits and defaults of the session dialect, in one place. Units stand last in a name. */

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
export const retryTiming = {
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
