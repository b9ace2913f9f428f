/** What a session's sender tells and asks, and what came of it. */

import type { PortRefusedEvent } from '../base/refusal.js';
import type { OtherAddressEvent } from '../path/candidate-addresses.js';
import type { SessionPeerStatus } from '../transfer/peer.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';

/** What a session sender reports, and the blocks that it needs. */
export type SessionSenderEvent =
  /** Hand these bytes of the content to `provideBlock`. */
  | {
      readonly type: 'need';
      readonly block: number;
      readonly offsetBytes: number;
      readonly sizeBytes: number;
    }
  /** A receiver has shown its key: answer with `trust`. */
  | {
      readonly type: 'identify';
      readonly index: number;
      readonly receiver: string;
      readonly receiverKey: Uint8Array;
    }
  | OtherAddressEvent
  | PortRefusedEvent
  /** A receiver takes part, for the first time or again. */
  | { readonly type: 'connect'; readonly receiver: string; readonly selfName: string }
  /** All of the content was read: call `confirmSource` if it is still what it was, else `abort`. */
  | { readonly type: 'check-source' }
  /** A block is not what it was when it was first read. */
  | { readonly type: 'source-changed'; readonly offsetBytes: number }
  /** A receiver is not waited for any more, though still called. */
  | { readonly type: 'silent'; readonly receiver: string }
  /** A receiver is about to end; it is called until something takes its place, or patience ends. */
  | { readonly type: 'deferred'; readonly receiver: string; readonly reason: string }
  /** A receiver answers small datagrams, but seems to get none of the size of data. */
  | { readonly type: 'narrow-path'; readonly receiver: string; readonly index: number }
  | { readonly type: 'receiver'; readonly outcome: SessionReceiverOutcome }
  | FaultEvent
  /** Every receiver's outcome is known, and nothing will be sent any more. */
  | { readonly type: 'done'; readonly result: SessionSenderResult };

/** One receiver, at any time; the same figures as in its own view. */
export interface SessionReceiverStatus {
  readonly receiver: string;
  readonly address: string;
  readonly selfName?: string;
  readonly status: SessionPeerStatus;
  /** What it is at, or what it is waited for; for people. */
  readonly activity: string;
  readonly reason?: string;
  /** Content that it holds, what it held before the session among it. */
  readonly heldBytes: number;
  /** Of that, what was already there before the session. */
  readonly heldBeforeBytes: number;
  /** Content that it received in this session and that counts. */
  readonly receivedBytes: number;
  readonly elapsedMs: number;
  /** Data datagrams, by the group or to it alone. */
  readonly datagramsSent: number;
  /** Of these, the ones with segments that it lacked although they had been sent to it before. */
  readonly repairs: number;
  /** Data datagrams that did not arrive, by its own count. */
  readonly datagramsLost: number;
  /** The same as a share of those that arrived or did not, 0..1. */
  readonly lossRatio: number;
  readonly rttMs?: number;
  readonly usesGroup: boolean;
}

export interface SessionReceiverOutcome extends SessionReceiverStatus {
  readonly status: 'complete' | 'failed' | 'refused' | 'aborted';
}

/** Figures of a session once it has ended. */
export interface SessionSenderResult {
  readonly contentSizeBytes: number;
  readonly elapsedMs: number;
  /** Digest of the manifest in hexadecimal. */
  readonly objectId: string;
  /** Root of the tree of digests in hexadecimal; undefined where not all was read. */
  readonly rootDigest?: string;
  /** Data datagrams that left: one to the group counts once. */
  readonly datagramsSent: number;
  readonly groupDatagramsSent: number;
  /** Payload of these. */
  readonly bytesSent: number;
  /** Of the datagrams, those that were sent again to a receiver that lacked them. */
  readonly repairs: number;
  readonly reportsReceived: number;
  readonly receivers: readonly SessionReceiverOutcome[];
  readonly faults: FaultCounts;
}
