/** The options, events and result of `coordinateExchange`. */

import type { Address } from '../../base/address.js';
import {
  amount,
  type Checks,
  callback,
  number,
  objectOf,
  required,
  text,
  wholeNumber,
} from '../../base/options/check-options.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { KeyPair } from '../keys/key-files.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import { hosts, keyPair, ownPort, signal } from '../option-checks.js';

/** The rates of the link of a peer, in each direction. */
export interface LinkRates {
  readonly upBytesPerSec: number;
  readonly downBytesPerSec: number;
}

/** Options of `coordinateExchange`. */
export interface CoordinateExchangeOptions {
  /** The exchange begins when so many peers are there. */
  readonly peers: number;
  /** The exchange begins after this time with the peers that are there, if there are two; never by default. */
  readonly deadlineMs?: number;
  /**
   * A peer that was lost may come back for this time with what no other peer has, or for what it misses if it has fallen
   * silent; 10 s by default.
   */
  readonly rejoinWithinMs?: number;
  /** The exchange ends if nobody gets anything for this time; 60 s by default. */
  readonly stalledAfterMs?: number;
  /** 0 for any free port. */
  readonly port: number;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /** Identifies this host to the peers. */
  readonly keyPair: KeyPair;
  /** Decides whether a host with this key may take part. This option is required; `() => true` accepts all. */
  readonly trustPeer: (peerKey: Uint8Array) => TrustAnswer;
  /** Where `events.log`, `summary.csv` and `report.html` are written; by default, nowhere. */
  readonly logFolder?: string;
  /** The rates of the links of each peer, to compare the total time with what they allow in the report. */
  readonly link?: LinkRates;
  /** Ends the exchange. */
  readonly signal?: AbortSignal;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: CoordinateExchangeEvent) => void;
}

/** Whether the coordinator hears of a peer: it does, it hears nothing, or the peer has said that it leaves. */
export type PeerPresence = 'present' | 'silent' | 'left';

/** A peer of an exchange, as the coordinator knows it. */
export interface ExchangePeerStatus {
  readonly name: string;
  readonly address: string;
  readonly presence: PeerPresence;
  /** Content of others that it holds. */
  readonly heldBytes: number;
  /** Content of others that it is to get. */
  readonly totalBytes: number;
  /** Number of objects of others that it has stored. */
  readonly storedObjects: number;
  readonly totalObjects: number;
}

/** What `coordinateExchange` reports while it runs. Times are in milliseconds since the start. */
export type CoordinateExchangeEvent =
  /** A peer takes part. A peer that joins again is reported again. */
  | {
      readonly type: 'joined';
      readonly name: string;
      readonly address: string;
      readonly objects: readonly {
        readonly name: string;
        readonly contentSizeBytes: number;
        readonly fileCount: number;
      }[];
    }
  | { readonly type: 'absent'; readonly name: string; readonly presence: 'silent' | 'left' }
  | { readonly type: 'back'; readonly name: string }
  /**
   * Everybody has what there is. The exchange ends after this time if these peers, which were lost, do not come back. No
   * peers: nobody is waited for any more.
   */
  | { readonly type: 'awaited'; readonly peers: readonly string[]; readonly forMs: number }
  /** The exchange begins in this time. */
  | { readonly type: 'start'; readonly inMs: number; readonly peers: readonly string[] }
  /** A peer has stored an object of another one. */
  | {
      readonly type: 'stored';
      readonly name: string;
      readonly owner: string;
      readonly object: string;
      readonly contentSizeBytes: number;
      readonly elapsedMs: number;
    }
  | {
      readonly type: 'progress';
      readonly peers: readonly ExchangePeerStatus[];
      /** Undefined before the start. */
      readonly elapsedMs: number | undefined;
    }
  /** A host that may not take part has proved an invitation. `trustPeer` must accept its key from now on. */
  | {
      readonly type: 'invited';
      readonly from: Address;
      readonly peerKey: Uint8Array;
      /** How many more hosts the invitation admits. */
      readonly usesLeft: number;
    }
  /** A host that may not take part, or for which there was no room, was refused. */
  | {
      readonly type: 'turned-away';
      /** `invitation`: the host may not take part, and its invitation does not admit it either. */
      readonly cause: 'untrusted' | 'invitation' | 'no-room';
      readonly from: Address;
      readonly peerKey: Uint8Array;
      readonly reason: string;
      /** Number of refusals that are not reported since the previous event of this type. */
      readonly unreported: number;
    }
  | FaultEvent
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/** How an exchange ended, as the coordinator knows. */
export interface CoordinateExchangeResult {
  readonly status: 'complete' | 'incomplete';
  /** Why it is not complete. */
  readonly reason?: string;
  /** All peers that were in it; each once. */
  readonly peers: readonly ExchangePeerStatus[];
  /** From the start until somebody last got anything. */
  readonly elapsedMs: number;
}

export const coordinateChecks: Checks<CoordinateExchangeOptions> = {
  peers: required(wholeNumber(1, 1000)),
  deadlineMs: amount,
  rejoinWithinMs: amount,
  stalledAfterMs: amount,
  port: required(ownPort),
  bind: hosts,
  keyPair: required(keyPair),
  trustPeer: required(callback),
  logFolder: text,
  link: objectOf<LinkRates>(
    { upBytesPerSec: required(number), downBytesPerSec: required(number) },
    '{ upBytesPerSec: 6.25e6, downBytesPerSec: 62.5e6 }',
  ),
  signal,
  progressIntervalMs: amount,
  onEvent: callback,
};
