/**
 * Limits and defaults of the protocol and of its engine, in one place. Units stand last in a name.
 */
import { headerSizeBytes } from '../packet.js';

/** The port that the course text gives its receivers (PROTOCOL 1.2). */
export const defaultPort = 7735;

/** The largest UDP payload over IPv4: 65,535 less the IPv4 and the UDP header. */
export const maxDatagramSizeBytes = 65_507;

/** The largest segment that fits one datagram. */
export const maxMssBytes = maxDatagramSizeBytes - headerSizeBytes;

/** Sequence numbers are 32 bits wide; the one after the last segment names the end (PROTOCOL 5.2). */
export const maxSegmentCount = 2 ** 32 - 1;

/** Most blocks in flight at once: bounds the sender's memory at any setting. */
export const maxWindowBlocks = 1024;

/** Retransmission timeout, PROTOCOL 4. */
export const timeoutDefaults = {
  /** Before the first round-trip sample: fit for a LAN; RFC 6298 would say a second. */
  initialMs: 100,
  /** Margin over the smoothed round trip, for paths whose delay hardly varies: a timer's grain. */
  granularityMs: 0.5,
  /** Floor: fit for loopback, far below RFC 6298's second. */
  minMs: 0.7,
  /** Ceiling of the backed-off timeout. */
  maxMs: 60_000,
} as const;

/** What a P2MP-FTP sender uses for options that are left out. */
export const senderDefaults = {
  /** A receiver that acknowledges nothing new for this long is given up on (PROTOCOL 4.6). */
  giveUpAfterMs: 10_000,
  /** With a fixed timeout, patience lasts for this many rounds, if that is longer. */
  giveUpRounds: 20,
  /** But no longer: it must stay below the receivers' idle timeout (PROTOCOL 5.4). */
  maxDefaultGiveUpMs: 25_000,
  /** Backoff leaves room for this many tries within the patience, where the round trip does. */
  giveUpTries: 32,
  /** Rounds in which the end marker is sent; all data is acknowledged by then (PROTOCOL 5.3). */
  endRounds: 8,
  /** And for at least this long: a disk may be slow to make the file durable. */
  endMarkerTimeoutMs: 1000,
  /** Copies of the abort marker that go to each unfinished receiver (PROTOCOL 5.6). */
  abortCopies: 3,
  /** ACKs of the next number, with no proper one among them, that convict a receiver (PROTOCOL 6.4). */
  nextNumberAcks: 3,
} as const;

/** What a P2MP-FTP receiver uses for options that are left out. */
export const receiverDefaults = {
  /** Silence after which a transfer without an end marker is taken as ended (PROTOCOL 5.4). */
  idleTimeoutMs: 30_000,
  /** The same once a short segment has come, which can only be the last. */
  shortTailTimeoutMs: 1_000,
  /** Silence after which another sender may take the place of this one (PROTOCOL 5.7). */
  takeoverAfterMs: 8_000,
  /** Copies of the abort ACK that go out when a transfer is given up here (PROTOCOL 5.6). */
  abortCopies: 3,
  /** Payload taken in but not yet written; beyond it new segments are left unanswered. */
  maxUnwrittenBytes: 8 * 1024 * 1024,
  /** Answers to packets of type 0xFFFF for each transfer that one of them has ended (PROTOCOL 6.2). */
  maxEndReplies: 16,
  /** Addresses seen to be those of receivers, and for how long after their last ACK (PROTOCOL 7.2). */
  maxSeenReceivers: 256,
  seenReceiverMemoryMs: 60_000,
  /** Peers whose rejected packets are diagnosed, and for how long they keep others out (PROTOCOL 6.8). */
  maxDiagnosedPeers: 64,
  diagnosedPeerMemoryMs: 600_000,
  /** After such a pause, the mistakes of a peer are reported once more. */
  diagnosisPauseMs: 30_000,
  /** Ended transfers whose late duplicates are still answered. */
  maxEndedTransfers: 64,
} as const;
