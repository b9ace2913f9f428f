/** What a receiver of sessions tells and asks of its shell, and what came of each session. */
import type { Address } from '../base/address.js';
import type { Manifest } from '../object/manifest.js';
import type { FaultCounts, FaultEvent } from '../wire/faults.js';
import type { ExistingFiles } from '../wire/messages.js';

/** What is known of a session from its offer on. */
export interface IncomingInfo {
  readonly session: number;
  /** Digest of the manifest in hexadecimal: the same object has the same one. */
  readonly objectId: string;
  readonly label: string;
  readonly from: string;
  readonly senderKey: Uint8Array;
  readonly contentSizeBytes: number;
}

/** What a session receiver reports, and the work that it asks its shell to do. */
export type SessionReceiverEvent =
  /** A sender offers an object. */
  | { readonly type: 'offer'; readonly info: IncomingInfo }
  /** Find out what is held already, then call `prepared` or `refuse`. */
  | {
      readonly type: 'prepare';
      readonly info: IncomingInfo;
      readonly manifest: Manifest;
      readonly blockSizeBytes: number;
      readonly existing: ExistingFiles;
    }
  /** Listen to this group from now on, as far as the host can. */
  | { readonly type: 'join'; readonly session: number; readonly groupHost: string }
  /** Nothing comes by the group any more. */
  | { readonly type: 'leave'; readonly session: number }
  /** Store this, then call `handleWritten`. */
  | {
      readonly type: 'write';
      readonly session: number;
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
    }
  /** A block that was held proved bad; it comes again. */
  | { readonly type: 'forget'; readonly session: number; readonly block: number }
  /**
   * All is verified in memory: compare what the disk holds as far as that is wanted, and call `handleDamaged`
   * where it differs; else make it durable under its final names, then call `handleStored`.
   */
  | {
      readonly type: 'finish';
      readonly session: number;
      /** The verified digest of a block, counted within the content; not of blocks that are kept. */
      readonly leafOf: (block: number) => Uint8Array;
    }
  /** The session's outcome is known; of one that is not complete, what has come may be kept. */
  | { readonly type: 'end'; readonly result: IncomingResult }
  /** After `end`: the object will not come again, and what is kept of it can go. */
  | { readonly type: 'drop'; readonly info: IncomingInfo }
  | TurnedAwayEvent
  | InternalErrorEvent
  | FaultEvent;

/** A sender proved its key and was not let in. Reports are bounded: see `TurnedAwayLog`. */
export interface TurnedAwayEvent {
  readonly type: 'turned-away';
  readonly cause: 'untrusted' | 'no-room';
  readonly from: Address;
  readonly senderKey: Uint8Array;
  /** What the sender hears. */
  readonly reason: string;
  /** Refusals since the last report that were not reported one by one. */
  readonly unreported: number;
}

/** A defect of this program showed. It ends at most one session; the others continue. */
export interface InternalErrorEvent {
  readonly type: 'internal-error';
  /** Undefined where the work belonged to no session. */
  readonly session?: number;
  readonly label?: string;
  /** The error with its stack, for the people who maintain this program. */
  readonly stack: string;
}

export interface IncomingStatus extends IncomingInfo {
  /** What it is at, for people. */
  readonly activity: string;
  /** Content that is here, what was held before the session among it. */
  readonly heldBytes: number;
  /** Of that, what was already here before the session. */
  readonly heldBeforeBytes: number;
  /** Content that came in this session. */
  readonly receivedBytes: number;
  readonly elapsedMs: number;
  readonly datagramsReceived: number;
  readonly duplicates: number;
  readonly datagramsLost: number;
  /** Lost datagrams of all that were sent here, 0..1. */
  readonly lossRatio: number;
  /** Round trip of the opening, the time that the sender took to trust this receiver included. */
  readonly rttMs?: number;
  readonly usesGroup: boolean;
  /** Blocks whose digests were not the object's, and that came again. */
  readonly badBlocks: number;
}

export interface IncomingResult extends IncomingStatus {
  readonly status: 'complete' | 'failed' | 'refused';
  readonly reason?: string;
}

/** How one incoming session ended. */
export interface SessionReceiverResult {
  readonly complete: number;
  readonly failed: number;
  readonly refused: number;
  /** Defects of this program that showed; each is an `internal-error` event. */
  readonly internalErrors: number;
  readonly faults: FaultCounts;
}
