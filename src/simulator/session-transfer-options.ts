/** Options and results of a simulated session. */
import type { Machine, TimeMs } from '../base/machine.js';
import type { SessionReceiver } from '../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../session/receiver-events.js';
import type { SessionSender } from '../session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/sender-events.js';
import type { SessionSenderOptions } from '../session/sender-options.js';
import type { HostFault } from './crashable-host.js';
import type { LinkCounts, LinkOptions } from './link.js';
import type { SimulationOptions } from './simulation.js';

/** A fault injected into a host or its network, and when. */
export interface SessionIncident {
  readonly atMs: TimeMs;
  /** A receiver's index, or the sender. */
  readonly host: number | 'sender';
  readonly fault: HostFault;
}

/** Options that may differ between receivers. */
export interface SimulatedReceiverOptions {
  /** The link from the sender; a perfect one by default. */
  readonly forwardLink?: LinkOptions;
  /** The link to the sender; a perfect one by default. */
  readonly backwardLink?: LinkOptions;
  /**
   * How long the disk takes for a write. Operations are serial.
   */
  readonly writeTimeMs?: number;
  /** How long the disk takes to make the whole content durable. */
  readonly storeTimeMs?: number;
  /** Time from a first write until the disk makes all pending writes durable. */
  readonly checkpointMs?: number;
  /** Share of blocks that are corrupt on disk after a restart. */
  readonly rot?: number;
  /** Memory for incomplete and unwritten blocks; the default of `SessionReceiver`. */
  readonly bufferBytes?: number;
  /**
   * The receiver starts with all blocks of the content except these. If omitted, it starts with
   * none.
   */
  readonly missingBlocks?: readonly number[];
}

/** Options of a simulated session: hosts, network, faults and limits. */
export interface SimulatedSessionOptions
  extends SimulationOptions,
    SimulatedReceiverOptions,
    Pick<
      SessionSenderOptions,
      'mssBytes' | 'segmentsPerBlock' | 'livenessTimeoutMs' | 'rateBytesPerSec' | 'reportsPerSec'
    > {
  /** Number of receivers, at least 1. */
  readonly receiverCount: number;
  /** Size of the content, spread over the files. */
  readonly contentSizeBytes: number;
  /** Number of files; 1 by default. */
  readonly fileCount?: number;
  /** Overrides of the common receiver options, by index. */
  readonly receivers?: readonly SimulatedReceiverOptions[];
  /** Whether the session has a multicast group. */
  readonly hasGroup?: boolean;
  /**
   * Whether multicast reaches the receiver with this index. By default it reaches all receivers.
   */
  readonly groupReaches?: (receiver: number) => boolean;
  /** Faults to inject. */
  readonly incidents?: readonly SessionIncident[];
  /** Serial time that the sender spends on each datagram. */
  readonly sendTimeMs?: number;
  /** How long the source takes to provide a block. */
  readonly sourceTimeMs?: number;
  /** Virtual time at which the run is stopped. */
  readonly deadlineMs?: TimeMs;
  /** Whether to count reused nonces. */
  readonly watchesNonces?: boolean;
  /** Event limit: a run that exceeds it is considered hung. */
  readonly maxSteps?: number;
  /** Lets a test intercept the sender's inputs and outputs; called at each start of its host. */
  readonly wrapSender?: (sender: SessionSender) => Machine<SessionSenderEvent>;
  /** The same for the receivers. */
  readonly wrapReceiver?: (receiver: SessionReceiver) => Machine<SessionReceiverEvent>;
}

/** A receiver's outcome and when the sender determined it. */
export interface SettledReceiver {
  readonly atMs: TimeMs;
  readonly outcome: SessionReceiverOutcome;
}

/** How a simulated session ended at one receiver. */
export interface SimulatedSessionReceiver {
  readonly name: string;
  /** One result per session that ended here. */
  readonly results: readonly IncomingResult[];
  /** Whether the receiver reported a session complete and durably held exactly the bytes sent. */
  readonly isIdentical: boolean;
  /** Whether the receiver reported a session complete but held other content. */
  readonly isFalse: boolean;
  readonly maxBufferedBytes: number;
  /** When its last session ended; undefined if none did. */
  readonly endedAtMs: TimeMs | undefined;
}

/** How a simulated session ended, at the sender and at each receiver. */
export interface SimulatedSessionResult {
  /** One result for each run of the sender that ended. */
  readonly sender: readonly SessionSenderResult[];
  /** Outcomes in the sender's last run. */
  readonly settled: readonly SettledReceiver[];
  readonly receivers: readonly SimulatedSessionReceiver[];
  readonly isAtRest: boolean;
  readonly datagramsAfterEnd: number;
  /** The most reports that the sender received within any one second. */
  readonly maxReportsPerSec: number;
  /** Reports received in each whole second. */
  readonly reportsBySecond: readonly number[];
  /** Nonces used for two plaintexts under one key. */
  readonly nonceReuses: number;
  /** Totals over all links. */
  readonly links: LinkCounts;
  readonly virtualMs: TimeMs;
  readonly steps: number;
}
