/** The options, events and result of `joinExchange`. */
import {
  amount,
  type Checks,
  callback,
  check,
  flag,
  listOf,
  objectOf,
  required,
  text,
  wholeNumber,
} from '../../base/options/check-options.js';
import type { RefusedEvent } from '../../base/refusal.js';
import { isFolderName } from '../../roles/exchange/folder-name.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { KeyPair } from '../keys/key-files.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import type { MulticastChoice } from '../net/groups/group-address.js';
import type { ServerSpec } from '../net/resolve-receivers.js';
import { hosts, keyPair, ownPort, signal } from '../option-checks.js';
import type { PeerPresence } from './coordinate-options.js';

/** Options of `joinExchange`. */
export interface JoinExchangeOptions {
  /** The host that runs `coordinateExchange`. */
  readonly coordinator: ServerSpec;
  /** Files and folders that this host brings. Each is offered under its last part. May be empty. */
  readonly paths: readonly string[];
  /** Gets a folder for each other peer, called like it; created if missing. */
  readonly dir: string;
  /** The name of this peer, which no other peer has and a folder can have on any system; the name of the host by default. */
  readonly name?: string;
  /** Identifies this host; by default, a new key pair for this exchange only. */
  readonly keyPair?: KeyPair;
  /** Decides whether to trust the coordinator, which names the other peers and their keys. This option is required. */
  readonly trustCoordinator: (
    coordinator: string,
    coordinatorKey: Uint8Array,
  ) => TrustAnswer | Promise<TrustAnswer>;
  /** Codes that the coordinator's `invite` returned. */
  readonly invitations?: readonly string[];
  /** The folder of indexes, so that a restart need not read all content again; by default, there is none. */
  readonly indexFolder?: string;
  /** Where `events.log`, `chunks.csv` and `md5sums.txt` are written; by default, nowhere. */
  readonly logFolder?: string;
  /** The local UDP port; by default, any free port. */
  readonly port?: number;
  /** Local addresses; all by default. */
  readonly bind?: readonly string[];
  /** Content bytes per datagram that the paths are expected to carry; 1400 by default. */
  readonly mssBytes?: number;
  /** Maximum rate at which this host sends, in bytes per second. By default, only congestion control limits it. */
  readonly rateBytesPerSec?: number;
  /** `auto`: a random multicast group for each object. `never`: unicast only. Or the address of a group. `auto` by default. */
  readonly multicast?: MulticastChoice;
  /** TTL (hop limit) of multicast datagrams. The default 1 keeps them on the local network. */
  readonly multicastTtl?: number;
  /** Maximum number of open files; 256 by default, or less if the limit of the process is lower. */
  readonly maxOpenFiles?: number;
  /** Leaves the exchange. What has arrived is kept. */
  readonly signal?: AbortSignal;
  /** Whether each chunk is reported; false by default. */
  readonly reportsChunks?: boolean;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: JoinExchangeEvent) => void;
}

/** An object of an exchange: a file or folder that a peer brings. */
export interface ExchangeObject {
  /** The name of the peer that brings it. */
  readonly owner: string;
  readonly name: string;
  readonly contentSizeBytes: number;
}

/** A file of an exchange, with the digests that its owner lists. They are in hexadecimal. */
export interface ExchangeFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly md5: string;
  readonly sha256: string;
}

/** An object that this peer fetches. */
export interface ExchangeObjectStatus extends ExchangeObject {
  readonly heldBytes: number;
  readonly state: 'waiting' | 'fetching' | 'storing' | 'stored';
  /** The peers that are asked for blocks now. */
  readonly sources: readonly string[];
}

/** What `joinExchange` reports while it runs. Times are in milliseconds since the start of the exchange, by the coordinator's clock. */
export type JoinExchangeEvent =
  /** A path has been read. */
  | {
      readonly type: 'indexed';
      readonly name: string;
      readonly contentSizeBytes: number;
      readonly files: readonly ExchangeFile[];
    }
  /** The coordinator lets this host take part. */
  | { readonly type: 'welcome'; readonly expectedPeers: number }
  /** The coordinator is silent. The exchange continues, and the coordinator is asked again. */
  | { readonly type: 'coordinator-lost'; readonly reason: string }
  /** Another peer takes part. */
  | {
      readonly type: 'peer';
      readonly name: string;
      readonly address: string;
      readonly objects: readonly Omit<ExchangeObject, 'owner'>[];
    }
  /** The coordinator hears of a peer again, or not any more. */
  | { readonly type: 'presence'; readonly name: string; readonly presence: PeerPresence }
  /**
   * Everybody has what there is. The exchange ends after this time if these peers, which were lost, do not come back. No
   * peers: nobody is waited for any more.
   */
  | { readonly type: 'awaited'; readonly peers: readonly string[]; readonly forMs: number }
  /** The exchange begins in this time. The clock may be wrong by this much. */
  | { readonly type: 'start'; readonly inMs: number; readonly uncertaintyMs: number }
  /** Blocks of an object are asked of a peer from now on. */
  | { readonly type: 'source'; readonly object: ExchangeObject; readonly source: string }
  /** A peer is not, or no longer, asked for blocks of an object. */
  | {
      readonly type: 'left';
      readonly object: ExchangeObject;
      readonly source: string;
      readonly reason: string;
    }
  /** A contiguous run of bytes that was asked of a peer has arrived, or is asked of others. */
  | {
      readonly type: 'segment';
      readonly object: ExchangeObject;
      readonly source: string;
      readonly firstByte: number;
      readonly sizeBytes: number;
      readonly startMs: number;
      readonly endMs: number;
    }
  /** A chunk of 256 KiB of a file has arrived and is verified. Only with `reportsChunks`, or with a folder for logs. */
  | {
      readonly type: 'chunk';
      readonly object: ExchangeObject;
      readonly file: string;
      readonly chunk: number;
      readonly sizeBytes: number;
      /** None if it was on the disk before. */
      readonly sources: readonly string[];
      readonly startMs: number;
      readonly endMs: number;
    }
  /** All of a file has arrived and is verified. */
  | {
      readonly type: 'file';
      readonly object: ExchangeObject;
      readonly file: ExchangeFile;
      readonly elapsedMs: number;
    }
  /** An object cannot be kept, for example because the disk is full. It is tried again. */
  | { readonly type: 'failed'; readonly object: ExchangeObject; readonly reason: string }
  /** An object is stored under its final names. */
  | { readonly type: 'stored'; readonly object: ExchangeObject; readonly elapsedMs: number }
  /** An own object cannot be offered any more. */
  | { readonly type: 'withdrawn'; readonly name: string; readonly reason: string }
  | {
      readonly type: 'progress';
      readonly objects: readonly ExchangeObjectStatus[];
      /** Number of peers that fetch from this one now. */
      readonly clientCount: number;
      /** Undefined before the start. */
      readonly elapsedMs: number | undefined;
    }
  /** A multicast group cannot be joined, so its owner serves this host by unicast. Reported once for each reason. */
  | { readonly type: 'no-group'; readonly group: string; readonly reason: string }
  | RefusedEvent
  | FaultEvent
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/** The outcome of an exchange for one peer. */
export interface JoinExchangeResult {
  /** `refused`: the coordinator does not let this host take part. */
  readonly status: 'complete' | 'incomplete' | 'refused';
  /** Why it is not complete. */
  readonly reason?: string;
  readonly objects: readonly ExchangeObjectStatus[];
  /** From the start until the last object was stored, or until this host left. */
  readonly elapsedMs: number;
  /** Datagrams of content that this host has sent. One by multicast counts once. */
  readonly datagramsSent: number;
}

export const joinChecks: Checks<JoinExchangeOptions> = {
  coordinator: required(
    objectOf<ServerSpec>(
      { host: required(text), port: required(wholeNumber(1, 65_535)), name: text },
      "{ host: 'lab1', port: 7735 }",
    ),
  ),
  paths: required(listOf(text)),
  dir: required(text),
  name: check(
    'a name that a folder can have on any system',
    (value) => typeof value === 'string' && isFolderName(value),
  ),
  keyPair,
  trustCoordinator: required(callback),
  invitations: listOf(text),
  indexFolder: text,
  logFolder: text,
  port: ownPort,
  bind: hosts,
  mssBytes: amount,
  rateBytesPerSec: check('at least 1000 bytes per second', (value) => Number(value) >= 1000),
  multicast: text,
  multicastTtl: wholeNumber(1, 255),
  maxOpenFiles: amount,
  signal,
  reportsChunks: flag,
  progressIntervalMs: amount,
  onEvent: callback,
};
