/** Events of a receiver, and the result of a transfer. */

import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { DiagnosisEvent } from './diagnosis/packet-diagnosis.js';

/** How the end of a transfer was detected (PROTOCOL 5). */
export type TransferEnd =
  /** An empty data packet in sequence. */
  | 'end-marker'
  /** A data packet with a type that other programs use for their last segment. */
  | 'marked-last'
  /** A packet of type 0xFFFF. */
  | 'end-packet'
  /** The idle timeout expired. */
  | 'silence';

/** Events that a P2MP-FTP receiver emits for the code that performs its input and output. */
export type ReceiverEvent =
  /** A transfer begins. Prepare to store it. */
  | { readonly type: 'open'; readonly from: string }
  /** Write these bytes, then call `handleWritten`. The bytes are a view into the received datagram. */
  | {
      readonly type: 'write';
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
      /**
       * Whether an ACK waits for this write. If so, flush the write now, together with everything buffered
       * before it.
       */
      readonly isUrgent: boolean;
    }
  /** The file is complete. Make it durable under its final name, then call `handleStored`. */
  | { readonly type: 'finish'; readonly sizeBytes: number }
  /** Remove what has been stored of the transfer. */
  | { readonly type: 'discard' }
  /** The loss service dropped a data packet. */
  | { readonly type: 'loss'; readonly sequence: number }
  | FaultEvent
  /**
   * The likely mistake of a program whose packets are rejected. Emitted once per peer and kind of mistake.
   */
  | DiagnosisEvent
  /** A transfer has ended, in success or failure. */
  | { readonly type: 'done'; readonly result: TransferResult };

/** The outcome of one incoming transfer, with its figures. */
export interface TransferResult {
  readonly from: string;
  readonly status: 'complete' | 'failed' | 'aborted';
  readonly reason?: string;
  readonly end?: TransferEnd;
  /**
   * Whether the end is known rather than inferred. False if the idle timeout ended the transfer after a
   * full-size segment: the sender may have died before the end of the file.
   */
  readonly isCertain: boolean;
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** Time from the first segment to the last one. */
  readonly elapsedMs: number;
  readonly dataPackets: number;
  readonly acksSent: number;
  /** Data packets that the loss service dropped since the previous result. */
  readonly losses: number;
  /** Faults counted since the previous result. */
  readonly faults: FaultCounts;
}
