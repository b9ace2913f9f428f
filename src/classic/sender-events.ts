/** Events of a sender, and the result of a transfer. */

import type { RefusedEvent } from '../base/refusal.js';
import type { OtherAddressEvent } from '../path/candidate-addresses.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { PeerStatus } from './peer.js';

/** Events that a P2MP-FTP sender emits for the code that performs its input and output. */
export type SenderEvent =
  /** Read these bytes of the object and pass them to `provideBlock`. */
  | {
      readonly type: 'need';
      readonly blockIndex: number;
      readonly offsetBytes: number;
      readonly sizeBytes: number;
    }
  /** All data is acknowledged. Call `confirmSource` if the source is unchanged, otherwise `abort`. */
  | { readonly type: 'check-source' }
  /** The deadline of a round expired while receivers were pending. */
  | {
      readonly type: 'timeout';
      readonly sequence: number;
      readonly round: number;
      readonly pendingCount: number;
    }
  | OtherAddressEvent
  | RefusedEvent
  /** A receiver's outcome is known. */
  | { readonly type: 'receiver'; readonly outcome: ReceiverOutcome }
  | FaultEvent
  /** The outcome of every receiver is known, and the sender sends nothing more. */
  | { readonly type: 'done'; readonly result: SenderResult };

/** The outcome of a transfer for one receiver. */
export interface ReceiverOutcome {
  readonly receiver: string;
  readonly address: string;
  readonly status: Exclude<PeerStatus, 'active'>;
  readonly reason?: string;
  /**
   * Whether the receiver acknowledged the end. p2mpserver acknowledges the end only once the file is durable.
   */
  readonly isConfirmed: boolean;
  /**
   * Whether the receiver identified itself as p2mp. If it did not, its ACKs are taken at face value and might
   * be wrong: a program that numbers segments from 1 can send all the expected ACKs without having received
   * the first segment (PROTOCOL 5.9).
   */
  readonly isIdentified: boolean;
  /** Number of consecutive payload bytes, from the beginning of the file, that the receiver acknowledged. */
  readonly ackedBytes: number;
  /**
   * Time from the first datagram until the receiver acknowledged the last data segment or reached another
   * outcome.
   */
  readonly elapsedMs: number;
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly rttMs?: number;
}

/** Result of a P2MP-FTP transfer. */
export interface SenderResult {
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** Time from the first datagram until each receiver acknowledged all data or reached another outcome. */
  readonly elapsedMs: number;
  /**
   * Number of rounds of data blocks. Divided by the number of blocks, this number estimates E[R]
   * (docs/THEORY.md).
   */
  readonly rounds: number;
  /** Number of rounds whose deadline expired while receivers were pending. */
  readonly timeouts: number;
  /** Number of data packets sent, including end markers but not identify requests. */
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly acksReceived: number;
  readonly receivers: readonly ReceiverOutcome[];
  readonly faults: FaultCounts;
}
