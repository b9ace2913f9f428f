/** The events and requests that a session sender emits for its shell, and its result. */

import type { RefusedEvent } from '../base/refusal.js';
import type { OtherAddressEvent } from '../path/candidate-addresses.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { Undeleted } from '../wire/lists.js';
import type { Behind } from '../wire/relayed.js';
import type { PathState } from './outgoing/kept-path.js';
import type { SessionMemberStatus, SessionOutcomeStatus } from './outgoing/member.js';

/** Events that a session sender reports, and requests to its shell. */
export type SessionSenderEvent =
  /** Pass these bytes of the content to `provideBlock`. */
  | {
      readonly type: 'need';
      readonly block: number;
      readonly offsetBytes: number;
      readonly sizeBytes: number;
    }
  /** A receiver has shown its key. Call `trust` to accept or refuse the key. */
  | {
      readonly type: 'identify';
      readonly index: number;
      readonly receiver: string;
      readonly receiverKey: Uint8Array;
    }
  | OtherAddressEvent
  | RefusedEvent
  /** A receiver has connected, for the first time or again. */
  | {
      readonly type: 'connect';
      readonly index: number;
      readonly receiver: string;
      readonly selfName: string;
      /** If the object is relayed: what the receiver has drawn for the envelope of the origin. */
      readonly challenge?: Uint8Array;
    }
  /** A receiver's blocks were all read. Call `confirmSource` if the source is unchanged, else `abort`. */
  | { readonly type: 'check-source' }
  /** A block was read a second time, and its content had changed. */
  | { readonly type: 'source-changed'; readonly offsetBytes: number }
  /**
   * A receiver is silent. The other receivers no longer wait for it, but the sender keeps trying to
   * reconnect.
   */
  | { readonly type: 'silent'; readonly receiver: string }
  /** A receiver is about to restart. The sender tries to connect until the liveness timeout expires. */
  | { readonly type: 'deferred'; readonly receiver: string; readonly reason: string }
  /** A receiver answers only small datagrams. Full-size datagrams might exceed the path MTU. */
  | { readonly type: 'narrow-path'; readonly receiver: string; readonly index: number }
  | {
      readonly type: 'receiver';
      /** The number of the receiver, or of the relay that it is behind. */
      readonly index: number;
      readonly outcome: SessionReceiverOutcome;
      /** If the object is relayed and the receiver has it: its envelope for the origin. */
      readonly receipt?: Uint8Array;
    }
  /** A receiver behind a relay has shown its key. Call `trustBehind` to accept or refuse the key. */
  | {
      readonly type: 'identify-behind';
      readonly number: number;
      /** The number of the first relay. */
      readonly index: number;
      readonly receiver: string;
      /** The relays that it is behind, the nearest to this host first. */
      readonly via: readonly string[];
      readonly receiverKey: Uint8Array;
    }
  /** If this sender is a relay: a further relay speaks for a receiver behind it. Call `noteBehind` with the answer. */
  | { readonly type: 'behind'; readonly index: number; readonly behind: Behind }
  | FaultEvent
  /** Every receiver has an outcome; nothing more will be sent. */
  | { readonly type: 'done'; readonly result: SessionSenderResult };

/** One of several paths to a receiver, as the sender knows it. */
export interface PathStatus {
  /** The number of the path; 0 is that of the handshake. */
  readonly number: number;
  /** The address of the receiver. */
  readonly address: string;
  /** The address of this host; missing if the system chooses. */
  readonly from?: string;
  /**
   * `new` until the receiver has answered on this path, `closed` if it never does, and `silent` while it does not answer
   * any more.
   */
  readonly state: PathState;
  /** Whether data goes by this path. An open path can rest. */
  readonly isInUse: boolean;
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  /** The size of the segments in these datagrams. */
  readonly receivedBytes: number;
  /** Lost datagrams as a share of those sent, 0..1. */
  readonly lossRatio: number;
  /** The rate at which data arrived lately, and the highest rate that lasted a second. */
  readonly rateBytesPerSec: number;
  readonly bestRateBytesPerSec: number;
  readonly rttMs?: number;
}

/** Status of one receiver, as the sender knows it. */
export interface SessionReceiverStatus {
  readonly receiver: string;
  readonly address: string;
  /** The relays that the receiver is behind, the nearest to this host first; missing if there are none. */
  readonly via?: readonly string[];
  readonly selfName?: string;
  readonly status: SessionMemberStatus;
  /** What the receiver is doing or waiting for, as text for users. */
  readonly activity: string;
  readonly reason?: string;
  /** The content bytes that the receiver holds, including those that it held before the session. */
  readonly heldBytes: number;
  /** The part of `heldBytes` that the receiver held before the session. */
  readonly heldBeforeBytes: number;
  /** Content bytes received in this session, each block once. */
  readonly receivedBytes: number;
  readonly elapsedMs: number;
  /** Number of data datagrams sent to the receiver, by multicast or unicast. */
  readonly datagramsSent: number;
  /**
   * Number of retransmissions in `datagramsSent`: datagrams that repeat a segment which the receiver still
   * misses.
   */
  readonly repairs: number;
  /** Number of data datagrams that did not arrive, as counted by the receiver; with several paths, the sum of their losses. */
  readonly datagramsLost: number;
  /** Lost datagrams as a share of all datagrams sent, 0..1. */
  readonly lossRatio: number;
  readonly rttMs?: number;
  readonly usesGroup: boolean;
  /** The paths to the receiver; missing if there is only one. */
  readonly paths?: readonly PathStatus[];
  /** Files that the receiver did not read, because their size and time are unchanged; 0 until it is done. */
  readonly unchangedFiles: number;
  /** Entries that the receiver deleted, or, with `list`, would delete; 0 until it is done. */
  readonly deletedEntries: number;
  /** Entries that the receiver should have deleted and did not; 0 until it is done. */
  readonly undeletedEntries: number;
}

export interface SessionReceiverOutcome extends SessionReceiverStatus {
  readonly status: SessionOutcomeStatus;
  /**
   * The first 1,000 names of what the receiver deleted or, with `list`, would delete; names of folders end with a
   * slash. Missing if more could not be deleted than `undeleted` names, because what was deleted is not known then.
   */
  readonly deletedNames?: readonly string[];
  /** The first entries that the receiver should have deleted and did not, at most 16. */
  readonly undeleted?: readonly Undeleted[];
}

/** Figures of a session once it has ended. */
export interface SessionSenderResult {
  readonly contentSizeBytes: number;
  readonly elapsedMs: number;
  /** The SHA-256 of the manifest in hexadecimal. It identifies the object. */
  readonly manifestDigest: string;
  /** The content root in hexadecimal; undefined if not all of the content was read. */
  readonly contentRoot?: string;
  /** Number of data datagrams sent. A multicast datagram counts once. */
  readonly datagramsSent: number;
  readonly groupDatagramsSent: number;
  /** The payload of these datagrams. */
  readonly bytesSent: number;
  /** Number of retransmitted data datagrams. A multicast datagram counts once. */
  readonly repairs: number;
  readonly reportsReceived: number;
  readonly receivers: readonly SessionReceiverOutcome[];
  readonly faults: FaultCounts;
}
