/** Limits and defaults of the protocol and its implementation. */
import { headerSizeBytes } from '../packet.js';

/** The default receiver port from the course text (PROTOCOL 1.2). */
export const defaultPort = 7735;

/** The largest UDP payload over IPv4: 65,535 minus the IPv4 and UDP headers. */
export const maxDatagramSizeBytes = 65_507;

/** The largest segment that fits in one datagram. */
export const maxMssBytes = maxDatagramSizeBytes - headerSizeBytes;

/**
 * The most segments. Sequence numbers are 32 bits wide, and the number after the last segment marks the end (PROTOCOL
 * 5.2).
 */
export const maxSegmentCount = 2 ** 32 - 1;

/** Maximum number of blocks in flight; bounds the sender's memory. */
export const maxWindowBlocks = 1024;

/** Retransmission timeout, PROTOCOL 4. */
export const timeoutDefaults = {
  /** The timeout before the first RTT sample. It suits a LAN; RFC 6298 recommends one second. */
  initialMs: 100,
  /** The clock granularity. It is the margin over the smoothed RTT when the variance is near zero. */
  granularityMs: 0.5,
  /** The floor of the timeout. It suits loopback; RFC 6298 recommends one second. */
  minMs: 0.7,
  /** Ceiling of the backed-off timeout. */
  maxMs: 60_000,
} as const;

/** Default options and fixed limits of a P2MP-FTP sender. */
export const senderDefaults = {
  /** A receiver that acknowledges nothing new for this long fails (PROTOCOL 4.6). */
  livenessTimeoutMs: 10_000,
  /** With a fixed retransmission timeout, the liveness timeout lasts at least this many rounds. */
  livenessTimeoutRounds: 20,
  /**
   * Upper bound of the default liveness timeout: it must stay below the receivers' idle timeout
   * (PROTOCOL 5.4).
   */
  maxDefaultLivenessTimeoutMs: 25_000,
  /** Backoff allows at least this many attempts within the liveness timeout, if the RTT permits. */
  livenessTimeoutTries: 32,
  /** Number of rounds that send the end marker, once all data is acknowledged (PROTOCOL 5.3). */
  endRounds: 8,
  /** Minimum time to keep sending the end marker, because making the file durable may be slow. */
  endMarkerTimeoutMs: 1000,
  /** Copies of the abort marker sent to each unfinished receiver (PROTOCOL 5.6). */
  abortCopies: 3,
  /** A receiver fails after this many next-number ACKs with no valid ACK among them (PROTOCOL 6.4). */
  nextNumberAcks: 3,
} as const;

/** Default options and fixed limits of a P2MP-FTP receiver. */
export const receiverDefaults = {
  /** Idle time after which a transfer without an end marker is considered ended (PROTOCOL 5.4). */
  idleTimeoutMs: 30_000,
  /** The idle time that ends a transfer after a short segment, which can only be the last one. */
  shortTailTimeoutMs: 1_000,
  /** Idle time after which another sender may take over (PROTOCOL 5.7). */
  takeoverAfterMs: 8_000,
  /** Copies of the abort ACK sent when this receiver drops a transfer (PROTOCOL 5.6). */
  abortCopies: 3,
  /** Limit on payload accepted but not yet written; new segments beyond it are dropped. */
  maxUnwrittenBytes: 8 * 1024 * 1024,
  /** If a transfer ends with a packet of type 0xFFFF, at most this many such packets are answered (PROTOCOL 6.2). */
  maxEndReplies: 16,
  /**
   * The number of addresses that are remembered as receivers, and the time for which each is remembered after its last
   * ACK (PROTOCOL 7.2).
   */
  maxSeenReceivers: 256,
  seenReceiverMemoryMs: 60_000,
  /**
   * Number of peers whose rejected packets are diagnosed, and how long each one keeps its slot
   * (PROTOCOL 6.8).
   */
  maxDiagnosedPeers: 64,
  diagnosedPeerMemoryMs: 600_000,
  /** If a peer's packets pause for this long, its mistakes are reported again. */
  diagnosisPauseMs: 30_000,
  /** Number of ended transfers whose late duplicates are still answered. */
  maxEndedTransfers: 64,
} as const;
