/** Options and results of a simulated session. */
import type { Machine, TimeMs } from '../base/machine.js';
import type { Checks } from '../base/options/check-options.js';
import {
  anything,
  callback,
  check,
  flag,
  listOf,
  number,
  objectOf,
  oneOf,
  required,
} from '../base/options/check-options.js';
import type { Range } from '../base/range-set.js';
import type { SessionReceiver } from '../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../session/receiver-events.js';
import type { SessionSender } from '../session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/sender-events.js';
import type { SessionSenderOptions } from '../session/sender-options.js';
import type { Extra } from '../wire/lists.js';
import { deletions } from '../wire/offer.js';
import type { WithdrawalReason } from '../wire/withdrawn.js';
import { withdrawalReasons } from '../wire/withdrawn.js';
import type { HostFault } from './host.js';
import type { LinkCounts, LinkOptions } from './link.js';
import { linkChecks } from './link.js';
import type { SimulationOptions } from './simulation.js';
import { simulationChecks } from './simulation.js';

/** A fault to inject into a host or its network, and the time of the fault. */
export interface SessionIncident {
  readonly atMs: TimeMs;
  /** A receiver's index, or the sender. */
  readonly host: number | 'sender';
  readonly fault: HostFault;
}

/** A file of the object that the sender can no longer read from this time on. */
export interface LostFile {
  readonly atMs: TimeMs;
  /** Its number in the manifest. */
  readonly file: number;
  /** `removed` by default. */
  readonly reason?: WithdrawalReason;
}

/** The links of one path, in both directions. */
export interface SimulatedPath {
  readonly forwardLink?: LinkOptions;
  readonly backwardLink?: LinkOptions;
}

/** Options that can differ between receivers. */
export interface SimulatedReceiverOptions {
  /** Further paths, each between an address of the sender and one of the receiver of their own; at most three. */
  readonly furtherPaths?: readonly SimulatedPath[];
  /** Link from the sender to the receiver; by default, a link without delay, loss or limits. */
  readonly forwardLink?: LinkOptions;
  /** Link from the receiver to the sender; by default, a link without delay, loss or limits. */
  readonly backwardLink?: LinkOptions;
  /** Time that the disk takes for one write. The disk does one operation at a time. */
  readonly writeTimeMs?: number;
  /** Time that the disk takes to make the whole content durable. */
  readonly storeTimeMs?: number;
  /** Time from the first pending write until the disk makes all pending writes durable. */
  readonly checkpointMs?: number;
  /** Probability that a crash of the host damages a given block on its disk. */
  readonly rot?: number;
  /** Memory for incomplete and unwritten blocks; by default, as much as `SessionReceiver` uses by default. */
  readonly bufferBytes?: number;
  /**
   * Content blocks that the receiver does not hold at the start. If omitted, the receiver starts without any
   * block.
   */
  readonly missingBlocks?: readonly number[];
  /** Content blocks of unchanged files: the receiver has them from the start and never reads them. */
  readonly keptBlocks?: readonly Range[];
  /** Entries that the receiver has although the sender does not send them; the content of a folder before the folder. */
  readonly extras?: readonly Extra[];
  /** Whether the receiver lets the sender delete; true by default. */
  readonly allowsDeletion?: boolean;
  /** Virtual time at which the receiver joins the session; by default, it is there from the start. */
  readonly joinAtMs?: TimeMs;
  /** Times after its first content at which the host gets another address. */
  readonly movesAfterMs?: readonly number[];
  /** Whether these times count from the offer. */
  readonly movesEarly?: boolean;
  /** Virtual time at which the sender ends the session for the receiver, if it has no outcome yet. */
  readonly leaveAtMs?: TimeMs;
}

/** Options of a simulated session: hosts, network, faults and limits. */
export interface SimulatedSessionOptions
  extends SimulationOptions,
    SimulatedReceiverOptions,
    Pick<
      SessionSenderOptions,
      | 'mssBytes'
      | 'blockSizeBytes'
      | 'livenessTimeoutMs'
      | 'rateBytesPerSec'
      | 'createController'
      | 'reportsPerSec'
      | 'deletion'
      | 'isSpared'
    > {
  /** Number of receivers, at least 1. */
  readonly receiverCount: number;
  /** Total size of the content, divided among the files. */
  readonly contentSizeBytes: number;
  /** Number of files; 1 by default. */
  readonly fileCount?: number;
  /** Overrides of the common receiver options, by index of the receiver. */
  readonly receivers?: readonly SimulatedReceiverOptions[];
  /** Whether the session has a multicast group. */
  readonly hasGroup?: boolean;
  /** Whether the sender knows the addresses of receivers on their further paths from the start. */
  readonly namesAllAddresses?: boolean;
  /** Whether multicast reaches the receiver with this index. By default, multicast reaches all receivers. */
  readonly groupReaches?: (receiver: number) => boolean;
  /** Faults to inject. */
  readonly incidents?: readonly SessionIncident[];
  /** Files that the sender can no longer read from some time on. */
  readonly lostFiles?: readonly LostFile[];
  /** Time that the sender spends on each datagram; the sender sends one datagram after another. */
  readonly sendTimeMs?: number;
  /** Time that the source takes to provide a block. */
  readonly sourceTimeMs?: number;
  /** Virtual time at which the run is stopped. */
  readonly deadlineMs?: TimeMs;
  /** Whether to count reused nonces. */
  readonly watchesNonces?: boolean;
  /** Event limit: a run that exceeds it is considered hung. */
  readonly maxSteps?: number;
  /** Lets a test intercept the sender's inputs and outputs. Called at each start of the sender's host. */
  readonly wrapSender?: (sender: SessionSender) => Machine<SessionSenderEvent>;
  /** Lets a test intercept a receiver's inputs and outputs. Called at each start of a receiver's host. */
  readonly wrapReceiver?: (receiver: SessionReceiver) => Machine<SessionReceiverEvent>;
}

const receiverChecks: Checks<SimulatedReceiverOptions> = {
  furtherPaths: listOf(
    objectOf<SimulatedPath>({
      forwardLink: objectOf(linkChecks),
      backwardLink: objectOf(linkChecks),
    }),
  ),
  forwardLink: objectOf(linkChecks),
  backwardLink: objectOf(linkChecks),
  writeTimeMs: number,
  storeTimeMs: number,
  checkpointMs: number,
  rot: number,
  bufferBytes: number,
  missingBlocks: listOf(number),
  keptBlocks: listOf(anything),
  extras: listOf(anything),
  allowsDeletion: flag,
  joinAtMs: number,
  movesAfterMs: listOf(number),
  movesEarly: flag,
  leaveAtMs: number,
};

export const sessionChecks: Checks<SimulatedSessionOptions> = {
  ...simulationChecks,
  ...receiverChecks,
  mssBytes: number,
  blockSizeBytes: number,
  livenessTimeoutMs: number,
  rateBytesPerSec: number,
  createController: callback,
  reportsPerSec: number,
  deletion: oneOf(...deletions),
  isSpared: callback,
  receiverCount: required(number),
  contentSizeBytes: required(number),
  fileCount: number,
  receivers: listOf(objectOf(receiverChecks)),
  hasGroup: flag,
  namesAllAddresses: flag,
  groupReaches: callback,
  incidents: listOf(
    objectOf<SessionIncident>({
      atMs: required(number),
      host: required(
        check(
          "a receiver's index or 'sender'",
          (value) => value === 'sender' || Number.isInteger(value),
        ),
      ),
      fault: required(oneOf('kill', 'start', 'disconnect', 'reconnect', 'move')),
    }),
  ),
  lostFiles: listOf(
    objectOf<LostFile>({
      atMs: required(number),
      file: required(number),
      reason: oneOf(...withdrawalReasons),
    }),
  ),
  sendTimeMs: number,
  sourceTimeMs: number,
  deadlineMs: number,
  watchesNonces: flag,
  maxSteps: number,
  wrapSender: callback,
  wrapReceiver: callback,
};

/** A receiver's outcome, and the time at which the sender recorded it. */
export interface SettledReceiver {
  readonly atMs: TimeMs;
  readonly outcome: SessionReceiverOutcome;
}

/** How a simulated session ended at one receiver. */
export interface SimulatedSessionReceiver {
  readonly name: string;
  /** One result per session that ended here. */
  readonly results: readonly IncomingResult[];
  /** Whether the receiver reported a session as complete and durably held exactly the bytes sent. */
  readonly isIdentical: boolean;
  /** Whether the receiver reported a session as complete but held other content. */
  readonly isFalse: boolean;
  /** The names of the extra entries that were deleted, in this order. A name is repeated if it was deleted twice. */
  readonly deletedNames: readonly string[];
  readonly maxBufferedBytes: number;
  /** Time at which the receiver's last session ended; undefined if no session ended. */
  readonly endedAtMs: TimeMs | undefined;
}

/** How a simulated session ended, at the sender and at each receiver. */
export interface SimulatedSessionResult {
  /** The results of the sender's runs. A run that a crash cut short has no result. */
  readonly sender: readonly SessionSenderResult[];
  /** Outcomes in the sender's last run. */
  readonly settled: readonly SettledReceiver[];
  readonly receivers: readonly SimulatedSessionReceiver[];
  readonly isAtRest: boolean;
  readonly datagramsAfterEnd: number;
  /** Maximum number of reports that the sender received within one second. */
  readonly maxReportsPerSec: number;
  /** Reports received in each whole second. */
  readonly reportsBySecond: readonly number[];
  /** Number of times that a nonce was used for two plaintexts under the same key. */
  readonly nonceReuses: number;
  /** Totals over all links. */
  readonly links: LinkCounts;
  readonly virtualMs: TimeMs;
  readonly steps: number;
}

/** The largest number of further paths to any receiver. */
export function furtherCountOf({ furtherPaths, receivers = [] }: SimulatedSessionOptions): number {
  const counts = receivers.map((own) => own.furtherPaths?.length ?? 0);
  return Math.max(furtherPaths?.length ?? 0, ...counts);
}
