/** What a receiver tells and asks, and what came of a transfer. */

import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { DiagnosisEvent } from './packet-diagnosis.js';

/** How the end of a transfer was known (PROTOCOL 5). */
export type TransferEnd =
  /** An empty data packet in sequence. */
  | 'end-marker'
  /** A data packet of one of the types that other programs give their last one. */
  | 'marked-last'
  /** A packet of type 0xFFFF. */
  | 'end-packet'
  /** Nothing came any more. */
  | 'silence';

/** What a P2MP-FTP receiver reports. */
export type ReceiverEvent =
  /** A transfer begins: make ready to store it. */
  | { readonly type: 'open'; readonly from: string }
  /** Store these bytes and report by `handleWritten`. They are a view into the datagram. */
  | {
      readonly type: 'write';
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
      /** An ACK waits for it: write now, with all that is still held back. */
      readonly isUrgent: boolean;
    }
  /** All is there: make it durable under its final name and report by `handleStored`. */
  | { readonly type: 'finish'; readonly sizeBytes: number }
  /** Remove what was stored of it. */
  | { readonly type: 'discard' }
  /** The loss service threw a data packet away. */
  | { readonly type: 'loss'; readonly sequence: number }
  | FaultEvent
  /** What is likely wrong with a program whose packets are rejected; once for each peer and kind. */
  | DiagnosisEvent
  /** A transfer is over, for better or worse. */
  | { readonly type: 'done'; readonly result: TransferResult };

/** How one incoming transfer ended, with its figures. */
export interface TransferResult {
  readonly from: string;
  readonly status: 'complete' | 'failed' | 'aborted';
  readonly reason?: string;
  readonly end?: TransferEnd;
  /**
   * Whether the end is known and not guessed: false after silence behind a segment of full size,
   * which may be the last one or the last before the sender died.
   */
  readonly isCertain: boolean;
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** From the first segment until the last one. */
  readonly elapsedMs: number;
  readonly dataPackets: number;
  readonly acksSent: number;
  /** Data packets that the loss service threw away since the result before. */
  readonly losses: number;
  /** What else was not as it should be, since the result before. */
  readonly faults: FaultCounts;
}
