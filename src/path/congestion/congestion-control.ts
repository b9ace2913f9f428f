/**
 * What a rate group asks of its congestion controller. One controller serves the paths to all members of the rate
 * group. It learns of what happens through the methods that begin with `handle`; nothing else changes its state.
 * Counts are datagrams.
 */
import type { TimeMs } from '../../base/machine.js';
import type { PathModel, PathSample } from '../path-model.js';

/** What a controller needs to know about the path to a member of its rate group. */
export interface ControlledPath {
  /** The controller passes feedback to the model, and says when a measuring cycle ends. */
  readonly model: Readonly<PathModel>;
  /** `gapMs` is the minimum time between two reports; 0 for no minimum. */
  readonly returnPath: { readonly gapMs: number };
  /** Number of datagrams sent but not yet reported as received or lost. */
  readonly inFlight: number;
}

export interface CongestionController {
  /** The members of the rate group, or the handshake round-trip times of their paths, have changed. */
  handleMembers(paths: readonly ControlledPath[]): void;
  /** Slow members have left, or other senders, so the capacity may be much larger than measured. */
  handleSplit(): void;
  /** @param count number of datagrams sent to the member that receives the most of this batch */
  handleSent(nowMs: TimeMs, count: number): void;
  /**
   * @param path the path that the report is about
   * @param paths the paths whose feedback is outstanding, and `path`
   */
  handleFeedback(path: ControlledPath, sample: PathSample, paths: readonly ControlledPath[]): void;
  /** Until now, there was less to send than the controller allows. */
  handleIdle(nowMs: TimeMs): void;
  handleTimeout(nowMs: TimeMs): void;

  /** Whether a batch may be sent now, as far as the pace is concerned. */
  maySend(nowMs: TimeMs): boolean;
  /** If `maySend` last forbade sending: the time from which it allows sending. Infinity otherwise. */
  readonly nextSendAtMs: TimeMs;
  /**
   * The rate that is right for now, in datagrams per millisecond to all members together. Batches and the read-ahead
   * are sized by it.
   * @param share the share of all datagrams that the member with the most receives, above 0 and at most 1
   */
  sendRate(share: number): number;
  /** Number of further datagrams that may be in flight on a path; 0 or less to wait for feedback. */
  findRoom(nowMs: TimeMs, path: ControlledPath): number;
}

export interface CongestionControlOptions {
  /** Number of datagrams in a block. Blocks are the unit of sending and reporting. */
  readonly blockDatagrams: number;
  readonly datagramSizeBytes: number;
  readonly reportIntervalMs: number;
  /** A random number, 0..1, so that sessions do not probe at the same time. */
  readonly randomPhase: number;
  /** Number of hosts that send to the same receivers, this one included; 1 by default. It may change. */
  readonly senderCount?: number;
  /** The number of the path, so that several paths to one receiver probe at different intervals. */
  readonly pathNumber?: number;
  /** The rate that the user configured, which is enforced for all rate groups together. */
  readonly rateBytesPerSec: number | undefined;
}

export type CreateCongestionController = (
  options: CongestionControlOptions,
) => CongestionController;
