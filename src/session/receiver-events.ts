/** The events and requests that a session receiver emits for its shell, and the result of each session. */
import type { Address } from '../base/address.js';
import type { Range } from '../base/range-set.js';
import type { DeletionResult } from '../object/content-store.js';
import type { Manifest } from '../object/manifest.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { Extra } from '../wire/lists.js';
import type { Deletion, ExistingFiles, Offer } from '../wire/offer.js';
import type { BehindNoted, Relayed } from '../wire/relayed.js';
import type { Nodes } from '../wire/tree-nodes.js';
import type { WithdrawalReason } from '../wire/withdrawn.js';

/** What the offer says about a session. */
export interface IncomingInfo {
  readonly session: number;
  /** The SHA-256 of the manifest in hexadecimal. It identifies the object. */
  readonly manifestDigest: string;
  readonly label: string;
  readonly from: string;
  readonly senderKey: Uint8Array;
  readonly contentSizeBytes: number;
  /** Whether the sender only asks what it would delete. */
  readonly isListing: boolean;
  /** If the sender is a relay: where the object comes from. */
  readonly relayed?: Relayed;
}

/** Events that a session receiver reports, and requests to its shell. */
export type SessionReceiverEvent =
  /** A sender offers an object. */
  | { readonly type: 'offer'; readonly info: IncomingInfo }
  /** Find out which blocks the disk holds, then call `prepared` or `refuse`. */
  | {
      readonly type: 'prepare';
      readonly info: IncomingInfo;
      readonly manifest: Manifest;
      /** The manifest as it came. */
      readonly manifestBytes: Uint8Array;
      readonly blockSizeBytes: number;
      readonly existing: ExistingFiles;
      /** With `list`, only find out what `delete` would delete; nothing will be received. */
      readonly deletion: Deletion;
      /**
       * When the sender listed its files, by its own clock. If a file changed less than 2 s before that, its
       * time need not show a later change.
       */
      readonly listedAtMs: number;
    }
  /** Join this multicast group if the host can. */
  | { readonly type: 'join'; readonly session: number; readonly group: Address }
  /** Leave the multicast group, because the sender now sends to this receiver by unicast only. */
  | { readonly type: 'leave'; readonly session: number }
  /** Store these bytes, then call `handleWritten`. */
  | {
      readonly type: 'write';
      readonly session: number;
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
    }
  /** The sender has withdrawn these entries, by their numbers in the manifest. They must not be stored. */
  | {
      readonly type: 'withdrawn';
      readonly session: number;
      readonly entries: ReadonlyMap<number, WithdrawalReason>;
      /** Blocks of the content that will not arrive any more. */
      readonly blocks: readonly Range[];
    }
  /** The stored content of this block is wrong. The block will be received again. */
  | { readonly type: 'forget'; readonly session: number; readonly block: number }
  /**
   * The object is verified in memory. If verification of the disk is configured, first compare the disk with
   * the digests; if any block differs, call `handleDamaged` and stop there. If none differs, make the files
   * durable under their final names, then call `handleStored`.
   */
  | {
      readonly type: 'finish';
      readonly session: number;
      /** The verified digest of a block, by its number within the content. Not available for kept blocks. */
      readonly leafOf: (block: number) => Uint8Array;
      /**
       * The entries to delete after all files are placed: those of the extras in `prepared` that were not spared, in
       * the same order. The caller must check that they are still the same. Can be read once.
       */
      readonly doomed: Iterable<Extra>;
    }
  /** A session has ended. The received part of an incomplete object can be kept for a later session. */
  | {
      readonly type: 'end';
      readonly result: IncomingResult;
      /** Present if the sender has said that it will never offer the object again. */
      readonly isFinal?: true;
    }
  /** Follows `end` if an incomplete object will never be sent again. The received part can be deleted. */
  | { readonly type: 'drop'; readonly info: IncomingInfo }
  /** If this receiver is a relay: the sender answers what `IncomingSession.tell` said about a receiver behind it. */
  | { readonly type: 'behind-noted'; readonly session: number; readonly noted: BehindNoted }
  | SourceEvent
  | InvitedEvent
  | TurnedAwayEvent
  | InvitedRelayEvent
  | InternalErrorEvent
  | FaultEvent;

/** Events of a session whose sender is one of several sources. It ends with an `end` event like any other. */
export type SourceEvent =
  /** The source offers the object. Nothing is received before it is wanted. */
  | { readonly type: 'source'; readonly info: IncomingInfo; readonly offer: Offer }
  /** A part of the manifest has arrived. It is not verified. */
  | {
      readonly type: 'manifest-part';
      readonly session: number;
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
    }
  /** A content block has arrived, numbered within the content. It is not verified. Call `handleWritten` once it is stored or dropped. */
  | {
      readonly type: 'supplied';
      readonly session: number;
      readonly block: number;
      readonly bytes: Uint8Array;
    }
  /** The source has answered a request for digests. They are not verified. */
  | { readonly type: 'nodes'; readonly session: number; readonly nodes: Nodes };

/**
 * A sender that was not trusted has proved an invitation and was admitted. The handler of this event must make
 * `refuseSender` trust the key from now on, because an invitation counts only for the session that it admits.
 */
export interface InvitedEvent {
  readonly type: 'invited';
  readonly from: Address;
  readonly senderKey: Uint8Array;
  /** How many more senders the invitation admits. */
  readonly usesLeft: number;
}

/**
 * The invited sender is a relay, and its offer was taken. The handler of this event must make `refuseRelay` trust
 * `relayKey` from now on, and `refuseSender` trust `originKey`.
 */
export interface InvitedRelayEvent {
  readonly type: 'invited-relay';
  readonly from: Address;
  readonly relayKey: Uint8Array;
  /** The key of the sender whose object the relay brings. */
  readonly originKey: Uint8Array;
}

/** A sender proved its identity but was refused. `TurnedAwayLog` limits the number of these events. */
export interface TurnedAwayEvent {
  readonly type: 'turned-away';
  /** `invitation`: the sender is not trusted, and its invitation does not admit it either. */
  readonly cause: 'untrusted' | 'invitation' | 'no-room';
  readonly from: Address;
  readonly senderKey: Uint8Array;
  /** The reason that was sent to the sender. */
  readonly reason: string;
  /** Number of refusals without an event since the previous event of this type. */
  readonly unreported: number;
}

/** A bug in this program. It ends at most one session; the other sessions continue. */
export interface InternalErrorEvent {
  readonly type: 'internal-error';
  /** Undefined if the work belonged to no session. */
  readonly session?: number;
  readonly label?: string;
  /** The error with its stack, for a bug report. */
  readonly stack: string;
}

/** One of several paths from a sender, as the receiver knows it. */
export interface IncomingPathStatus {
  /** The number of the path; 0 is that of the handshake. */
  readonly number: number;
  /** The address of the sender, once it is proven. */
  readonly from?: string;
  readonly datagramsReceived: number;
  /** Payload that has arrived by this path, repeats included. */
  readonly receivedBytes: number;
}

export interface IncomingStatus extends IncomingInfo {
  /** The current activity, as text for users. */
  readonly activity: string;
  /** The content bytes that this receiver holds, including those that it held before the session. */
  readonly heldBytes: number;
  /** The part of `heldBytes` that this receiver held before the session. */
  readonly heldBeforeBytes: number;
  /** Content bytes received in this session. */
  readonly receivedBytes: number;
  readonly elapsedMs: number;
  /**
   * The content root in hexadecimal. Undefined until the content is verified, and if blocks are kept: the verification
   * does not cover them.
   */
  readonly contentRoot?: string;
  readonly datagramsReceived: number;
  readonly duplicates: number;
  readonly datagramsLost: number;
  /** Lost datagrams as a share of the datagrams sent to this receiver, 0..1. */
  readonly lossRatio: number;
  /** Round-trip time of the handshake, including the sender's time to decide on trust. */
  readonly rttMs?: number;
  readonly usesGroup: boolean;
  /** The paths from the sender; missing if there is only one. */
  readonly paths?: readonly IncomingPathStatus[];
  /** What the sender may send, in bytes per second. Present while several senders overload the link to this receiver. */
  readonly allowedBytesPerSec?: number;
  /** Blocks that were damaged on the way or on disk, and received again. */
  readonly badBlocks: number;
  /** Blocks that were held before this session, and differed from the sender's. */
  readonly updatedBlocks: number;
  /** Files that were not read, because their size and time are unchanged. */
  readonly unchangedFiles: number;
  /** Entries that were deleted because the sender does not send them. */
  readonly deletedEntries: number;
  /** Entries that should have been deleted, and still exist. */
  readonly undeletedEntries: number;
}

export interface IncomingResult extends IncomingStatus {
  /** `listed`: the sender only asked what would be deleted; nothing was received. */
  readonly status: 'complete' | 'failed' | 'refused' | 'listed';
  readonly reason?: string;
  /** Present if the sender asked for deletion and the session is complete or listed. */
  readonly deletion?: DeletionResult;
  /** The first 1,000 entries that the sender has withdrawn; missing if there are none. They were not stored. */
  readonly withdrawn?: readonly NamedWithdrawal[];
}

/** An entry that its sender could no longer read. */
export interface NamedWithdrawal {
  readonly name: string;
  readonly reason: WithdrawalReason;
}

/** Counts of a session receiver since its start. */
export interface SessionReceiverResult {
  readonly complete: number;
  readonly failed: number;
  readonly refused: number;
  /** Sessions of senders that only asked what they would delete. */
  readonly listed: number;
  /** The number of bugs that occurred in this program. An `internal-error` event reports each of them. */
  readonly internalErrors: number;
  readonly faults: FaultCounts;
}
