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
  /** All data is acknowledged: call `confirmSource` if the source is unchanged, else `abort`. */
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
  /** Whether it acknowledged the end; p2mpserver does so only once the file is durable. */
  readonly isConfirmed: boolean;
  /**
   * Whether the receiver identified itself as p2mp. ACKs of other programs are taken at face value:
   * a program that numbers from 1 sends the same ACKs when the first segment is missing (PROTOCOL
   * 5.9).
   */
  readonly isIdentified: boolean;
  /** Contiguous payload bytes acknowledged from the beginning. */
  readonly ackedBytes: number;
  /** From the first datagram until its last data segment was acknowledged, or until it ended. */
  readonly elapsedMs: number;
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly rttMs?: number;
}

/** Result of a P2MP-FTP transfer. */
export interface SenderResult {
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** From the first datagram until the last data segment's outcome was known. */
  readonly elapsedMs: number;
  /** Rounds of data blocks; rounds / blocks estimates E[R] (docs/THEORY.md). */
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
