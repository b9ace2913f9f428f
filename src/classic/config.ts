/** Limits and defaults of the P2MP-FTP protocol and of this implementation. */
import { headerSizeBytes } from '../packet.js';

/** The default receiver port from the course text (PROTOCOL 1.2). */
export const defaultPort = 7735;

/** The largest UDP payload over IPv4: 65,535 minus the IPv4 and UDP headers. */
export const maxDatagramSizeBytes = 65_507;

/** The largest segment that fits in one datagram. */
export const maxMssBytes = maxDatagramSizeBytes - headerSizeBytes;

/**
 * Maximum number of segments. Sequence numbers are 32 bits wide, and the end marker uses the number after the
 * last segment (PROTOCOL 5.2).
 */
export const maxSegmentCount = 2 ** 32 - 1;

/** Maximum number of blocks in flight. It limits the sender's memory use. */
export const maxWindowBlocks = 1024;

/** Retransmission timeout, PROTOCOL 4. */
export const timeoutDefaults = {
  /** The timeout before the first RTT sample. It suits a LAN; RFC 6298 recommends one second. */
  initialMs: 100,
  /** Clock granularity: the minimum margin over the smoothed RTT, even if the variance is near zero. */
  granularityMs: 0.5,
  /** Lower limit of the timeout. It suits loopback; RFC 6298 recommends one second. */
  minMs: 0.7,
  /** Upper limit of the timeout after backoff. */
  maxMs: 60_000,
} as const;

/** Default options and fixed limits of a P2MP-FTP sender. */
export const senderDefaults = {
  /** A receiver that acknowledges nothing new for this long fails (PROTOCOL 4.6). */
  livenessTimeoutMs: 10_000,
  /** Lower limit of the default liveness timeout, in rounds, if the retransmission timeout is fixed. */
  livenessTimeoutRounds: 20,
  /**
   * Upper limit of the default liveness timeout. This limit must stay below the receivers' idle timeout
   * (PROTOCOL 5.4).
   */
  maxDefaultLivenessTimeoutMs: 25_000,
  /**
   * Backoff is limited so that at least this many attempts fit into the liveness timeout, if the RTT permits.
   */
  livenessTimeoutTries: 32,
  /**
   * Minimum number of rounds of the end marker before the sender stops waiting for a silent receiver
   * (PROTOCOL 5.3).
   */
  endRounds: 8,
  /**
   * Minimum time for which the end marker is repeated. A receiver may need this time to make the file
   * durable.
   */
  endMarkerTimeoutMs: 1000,
  /** Copies of the abort marker sent to each unfinished receiver (PROTOCOL 5.6). */
  abortCopies: 3,
  /**
   * A receiver fails after this many ACKs that carry the number of the next segment, unless a valid ACK
   * arrived before them (PROTOCOL 6.4).
   */
  nextNumberAcks: 3,
} as const;

/** Default options and fixed limits of a P2MP-FTP receiver. */
export const receiverDefaults = {
  /** Idle time after which a transfer without an end marker is considered ended (PROTOCOL 5.4). */
  idleTimeoutMs: 30_000,
  /** Idle timeout after a segment that is shorter than the MSS. Such a segment can only be the last one. */
  shortTailTimeoutMs: 1_000,
  /** If a sender is silent for this long, another sender can take over (PROTOCOL 5.7). */
  takeoverAfterMs: 8_000,
  /** Copies of the abort ACK sent when this receiver drops a transfer (PROTOCOL 5.6). */
  abortCopies: 3,
  /** Maximum payload that is accepted but not yet written. New segments beyond this limit are dropped. */
  maxUnwrittenBytes: 8 * 1024 * 1024,
  /**
   * Maximum number of packets of type 0xFFFF that are answered for one transfer, including the packet that
   * ended the transfer (PROTOCOL 6.2).
   */
  maxEndReplies: 16,
  /**
   * Maximum number of addresses that are remembered as receivers, and the time for which each address is
   * remembered after its last ACK (PROTOCOL 7.2).
   */
  maxSeenReceivers: 256,
  seenReceiverMemoryMs: 60_000,
  /**
   * Maximum number of peers whose rejected packets are diagnosed (PROTOCOL 6.8). When the limit is reached, a
   * new peer can only replace a peer that has sent no rejected packet for `diagnosedPeerMemoryMs`.
   */
  maxDiagnosedPeers: 64,
  diagnosedPeerMemoryMs: 600_000,
  /** If a peer sends no rejected packet for this long, its later mistakes are reported again. */
  diagnosisPauseMs: 30_000,
  /** Maximum number of ended transfers whose late duplicates are still answered. */
  maxEndedTransfers: 64,
} as const;
