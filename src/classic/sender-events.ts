/** What a sender tells and asks, and what came of the transfer. */

import type { PortRefusedEvent } from '../base/refusal.js';
import type { OtherAddressEvent } from '../path/candidate-addresses.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { PeerStatus } from './peer.js';

/** What a P2MP-FTP sender reports, and the blocks that it needs. */
export type SenderEvent =
  /** Hand these bytes of the object to `provideBlock`. */
  | {
      readonly type: 'need';
      readonly blockIndex: number;
      readonly offsetBytes: number;
      readonly sizeBytes: number;
    }
  /** All is acknowledged: call `confirmSource` if the object is still what was sent, else `abort`. */
  | { readonly type: 'check-source' }
  /** A round's deadline has passed with receivers pending. */
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
  /** Every receiver's outcome is known, and nothing will be sent any more. */
  | { readonly type: 'done'; readonly result: SenderResult };

/** How a transfer ended for one receiver. */
export interface ReceiverOutcome {
  readonly receiver: string;
  readonly address: string;
  readonly status: Exclude<PeerStatus, 'active'>;
  readonly reason?: string;
  /** Whether it acknowledged the end; p2mpserver does so once the file is durable. */
  readonly isConfirmed: boolean;
  /**
   * Whether the receiver has shown that it is p2mp's. The ACKs of any other program are taken at their word:
   * one that numbers from 1 sends the same ones with the first segment missing (PROTOCOL 5.9).
   */
  readonly isIdentified: boolean;
  /** Payload that it acknowledged, all from the beginning on. */
  readonly ackedBytes: number;
  /** From the first datagram until its last data segment was acknowledged, or its end. */
  readonly elapsedMs: number;
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly rttMs?: number;
}

/** Figures of a P2MP-FTP transfer once it has ended. */
export interface SenderResult {
  readonly sizeBytes: number;
  readonly segmentCount: number;
  /** From the first datagram until the last data segment's outcome was known. */
  readonly elapsedMs: number;
  /** Rounds of data blocks; rounds / blocks is E[R] of the theory. */
  readonly rounds: number;
  /** Rounds whose deadline passed with receivers pending. */
  readonly timeouts: number;
  /** Data packets, end markers among them; questions for the kind of a receiver are not. */
  readonly datagramsSent: number;
  readonly retransmissions: number;
  readonly acksReceived: number;
  readonly receivers: readonly ReceiverOutcome[];
  readonly faults: FaultCounts;
}
