/** What a simulated session is given, and what it gives back. */
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
import type { HostFate } from './crashable-host.js';
import type { LinkCounts, LinkOptions } from './link.js';
import type { SimulationOptions } from './simulation.js';

/** What happens to a host or its network, and when. */
export interface SessionIncident {
  readonly atMs: TimeMs;
  /** A receiver by number from 0, or the sender. */
  readonly host: number | 'sender';
  readonly fate: HostFate;
}

/** What may differ from one receiver to the next. */
export interface SimulatedReceiverOptions {
  readonly forwardLink?: LinkOptions;
  readonly backwardLink?: LinkOptions;
  /** How long a disk takes for a write; and for making the whole durable. It does one after another. */
  readonly writeTimeMs?: number;
  readonly storeTimeMs?: number;
  /** How often a disk makes durable what was written. */
  readonly checkpointMs?: number;
  /** Share of blocks that a disk returns damaged after a restart. */
  readonly rot?: number;
  readonly bufferBytes?: number;
  /** From the beginning it holds all of the content but these blocks; nothing if left out. */
  readonly missingBlocks?: readonly number[];
}

export interface SimulatedSessionOptions
  extends SimulationOptions,
    SimulatedReceiverOptions,
    Pick<
      SessionSenderOptions,
      'mssBytes' | 'segmentsPerBlock' | 'giveUpAfterMs' | 'rateBytesPerSec' | 'reportsPerSec'
    > {
  readonly receiverCount: number;
  readonly contentSizeBytes: number;
  readonly fileCount?: number;
  /** By number, what one has in place of what all have. */
  readonly receivers?: readonly SimulatedReceiverOptions[];
  /** Whether there is a group; and which receivers it reaches, all if left out. */
  readonly hasGroup?: boolean;
  /** Which receivers the group reaches, by index; all if left out. */
  readonly groupReaches?: (receiver: number) => boolean;
  readonly incidents?: readonly SessionIncident[];
  readonly sendTimeMs?: number;
  /** How long the source takes to hand over a block. */
  readonly sourceTimeMs?: number;
  readonly deadlineMs?: TimeMs;
  /** Whether to count nonces that are used twice. */
  readonly watchesNonces?: boolean;
  /** A run that needs more happenings than this hangs. */
  readonly maxSteps?: number;
  /** What a test puts between a machine and its network, in each life of its host. */
  readonly wrapSender?: (sender: SessionSender) => Machine<SessionSenderEvent>;
  /** The same for the receivers. */
  readonly wrapReceiver?: (receiver: SessionReceiver) => Machine<SessionReceiverEvent>;
}

/** When the sender knew a receiver's outcome. */
export interface SettledReceiver {
  readonly atMs: TimeMs;
  readonly outcome: SessionReceiverOutcome;
}

/** How a simulated session ended at one receiver. */
export interface SimulatedSessionReceiver {
  readonly name: string;
  /** Of each session that ended here. */
  readonly results: readonly IncomingResult[];
  /** Whether it called a session complete, and held exactly the bytes that were sent, stored. */
  readonly isIdentical: boolean;
  /** Whether it called something complete that is not identical. */
  readonly isFalse: boolean;
  readonly maxBufferedBytes: number;
  /** When it had its last outcome; undefined for none. */
  readonly endedAtMs: TimeMs | undefined;
}

/** How a simulated session ended, at the sender and at each receiver. */
export interface SimulatedSessionResult {
  /** Of each life of the sender that came to its end. */
  readonly sender: readonly SessionSenderResult[];
  /** In the sender's last life. */
  readonly settled: readonly SettledReceiver[];
  readonly receivers: readonly SimulatedSessionReceiver[];
  readonly isAtRest: boolean;
  readonly datagramsAfterEnd: number;
  /** The most reports that the sender took within any one second. */
  readonly maxReportsPerSec: number;
  /** The same by whole seconds. */
  readonly reportsBySecond: readonly number[];
  /** Nonces that met two plaintexts under one key. */
  readonly nonceReuses: number;
  /** What the links did, all of them together. */
  readonly links: LinkCounts;
  readonly virtualMs: TimeMs;
  readonly steps: number;
}
