/** Events of a sender, and the result of a transfer. */

import type { PortRefusedEvent } from '../base/refusal.js';
import type { OtherAddressEvent } from '../path/candidate-addresses.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { PeerStatus } from './peer.js';

/** Events that a P2MP-FTP sender emits for its shell. */
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
  /** A round's deadline expired with receivers pending. */
  | {
      readonly type: 'timeout';
      readonly sequence: number;
      readonly round: number;
      readonly pendingCount: number;
    }
  | OtherAddressEvent
  | PortRefusedEvent
  /** A receiver's outcome is known. */
  | { readonly type: 'receiver'; readonly outcome: ReceiverOutcome }
  | FaultEvent
  /** Every receiver's outcome is known, and the sender sends nothing more. */
  | { readonly type: 'done'; readonly result: SenderResult };

/** How a transfer ended for one receiver. */
export interface ReceiverOutcome {
  readonly receiver: string;
  readonly address: string;
  readonly status: Exclude<PeerStatus, 'active'>;
  readonly reason?: string;
  /** Whether the receiver acknowledged the end. p2mpserver does so only once the file is durable. */
  readonly isConfirmed: boolean;
  /**
   * Whether the receiver identified itself as p2mp. If it did not, its ACKs are taken at face value. They may mislead,
   * because a program that numbers from 1 sends the same ACKs while the first segment is missing (PROTOCOL 5.9).
   */
  readonly isIdentified: boolean;
  /** Contiguous payload bytes acknowledged from the beginning. */
  readonly ackedBytes: number;
  /** The time from the first datagram until the receiver acknowledged the last data segment or had its outcome. */
  readonly elapsedMs: number;
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly rttMs?: number;
}

/** Result of a P2MP-FTP transfer. */
export interface SenderResult {
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** The time from the first datagram until each receiver had acknowledged all data or failed. */
  readonly elapsedMs: number;
  /** Rounds of data blocks. Divided by the number of blocks, this estimates E[R] (docs/THEORY.md). */
  readonly rounds: number;
  /** Rounds whose deadline expired with receivers pending. */
  readonly timeouts: number;
  /** Data packets, including end markers but not identify requests. */
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly acksReceived: number;
  readonly receivers: readonly ReceiverOutcome[];
  readonly faults: FaultCounts;
}
