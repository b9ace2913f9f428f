/** The options and events of `serve`. */
import type { Address } from '../../base/address.js';
import {
  amount,
  type Checks,
  callback,
  check,
  listOf,
  number,
  required,
  text,
  wholeNumber,
} from '../../base/options/check-options.js';
import type { SessionReceiverOutcome, SessionReceiverStatus } from '../../session/sender-events.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { KeyPair } from '../keys/key-files.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import type { MulticastChoice } from '../net/groups/group-address.js';
import type { NetworkPaths } from '../net/paths/local-paths.js';
import { hosts, keyPair, networkPaths, ownPort, signal } from '../option-checks.js';
import type { IndexProgress } from './object-catalogue.js';

/** Options of `serve`. */
export interface ServeOptions {
  /** Files and folders. Each is offered under the last part of its path. */
  readonly paths: readonly string[];
  /** 0 for any free port. */
  readonly port: number;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /**
   * Interfaces or local addresses from which to send to each client by several paths at once; `auto` for those of this
   * host. It listens on these and on `bind`, and on nothing else. By default, there is one path.
   */
  readonly networkPaths?: NetworkPaths;
  /** Identifies this host to clients. */
  readonly keyPair: KeyPair;
  /** Decides whether a client with this key may list and fetch. This option is required; `() => true` accepts all. */
  readonly trustClient: (clientKey: Uint8Array) => TrustAnswer;
  /** The folder of indexes, so that a restart need not read all content again; by default, there is none. */
  readonly indexFolder?: string;
  /** Maximum number of clients that fetch at the same time; 256 by default. */
  readonly maxClients?: number;
  /** Maximum rate of all clients together, at least 1,000 bytes per second. By default, only congestion control limits it. */
  readonly rateBytesPerSec?: number;
  /** Maximum number of open files; 256 by default, or less if the limit of the process is lower. */
  readonly maxOpenFiles?: number;
  /**
   * `auto`: each session has a random multicast group, used for clients of the same object that it reaches. `never`:
   * unicast only. Or the address of a group for all sessions. `auto` by default.
   */
  readonly multicast?: MulticastChoice;
  /** TTL (hop limit) of multicast datagrams. The default 1 keeps them on the local network. */
  readonly multicastTtl?: number;
  /** A client that is silent for this long fails. */
  readonly livenessTimeoutMs?: number;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Stops the server, like `close`. */
  readonly signal?: AbortSignal;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: ServeEvent) => void;
}

/** A client that fetches. */
export interface ServedClient {
  /** The name of the object. */
  readonly name: string;
  readonly clientKey: Uint8Array;
}

/** What `serve` reports while it runs. */
export type ServeEvent =
  /** A path can be fetched from now on. */
  | {
      readonly type: 'indexed';
      readonly name: string;
      /** In hexadecimal. */
      readonly contentRoot: string;
      readonly contentSizeBytes: number;
      readonly fileCount: number;
      /** How much was read; 0 if the index of an earlier run is still right. */
      readonly hashedBytes: number;
      readonly elapsedMs: number;
    }
  /** An entry of a folder that is not offered. */
  | { readonly type: 'skipped'; readonly name: string; readonly reason: string }
  /** The files of a path have changed. Its sessions end, and it is indexed again. */
  | { readonly type: 'changed'; readonly name: string }
  /** A path cannot be fetched now. */
  | { readonly type: 'unservable'; readonly name: string; readonly reason: string }
  /** An index could not be saved; the next run has to make it again. */
  | { readonly type: 'unsaved'; readonly name: string; readonly reason: string }
  /** A client fetches. */
  | (ServedClient & { readonly type: 'connect'; readonly client: string })
  /**
   * A client asked for something that is not offered, or came when there was no room. The same refusal is reported again
   * after ten minutes.
   */
  | {
      readonly type: 'refused';
      readonly client: string;
      readonly clientKey: Uint8Array;
      readonly name: string;
      readonly reason: string;
      /** Number of refusals that are not reported since the previous event of this type. */
      readonly unreported: number;
    }
  /** A client that may not fetch has proved an invitation. `trustClient` must accept its key from now on. */
  | {
      readonly type: 'invited';
      readonly from: Address;
      readonly clientKey: Uint8Array;
      /** How many more clients the invitation admits. */
      readonly usesLeft: number;
    }
  /** A client that may not fetch, or for which there was no room, was refused. */
  | {
      readonly type: 'turned-away';
      /** `invitation`: the client may not fetch, and its invitation does not admit it either. */
      readonly cause: 'untrusted' | 'invitation' | 'no-room';
      readonly from: Address;
      readonly clientKey: Uint8Array;
      readonly reason: string;
      /** Number of refusals that are not reported since the previous event of this type. */
      readonly unreported: number;
    }
  /** A client's outcome. */
  | {
      readonly type: 'end';
      readonly name: string;
      readonly contentSizeBytes: number;
      readonly outcome: ClientOutcome;
    }
  /** Reported once in each interval while clients fetch or indexes are made, and once more afterwards. */
  | {
      readonly type: 'progress';
      readonly clients: readonly ClientStatus[];
      /** The paths of which an index is being made. */
      readonly indexing: readonly OfferedPathStatus[];
    }
  | FaultEvent
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/** A path that is served. */
export interface OfferedPathStatus {
  readonly name: string;
  /** In hexadecimal. Missing, like the next two, while the path cannot be fetched. */
  readonly contentRoot?: string;
  readonly contentSizeBytes?: number;
  readonly fileCount?: number;
  /** How far the index is, while it is being made. */
  readonly indexing?: IndexProgress;
  /** Why the path cannot be fetched. */
  readonly reason?: string;
}

/** How a client's fetch ended here. What the client holds is not known, because it can have other sources. */
export type ClientOutcome = Omit<SessionReceiverOutcome, 'heldBytes' | 'heldBeforeBytes'>;

/** The status of a client that fetches. What the client holds is not known, because it can have other sources. */
export interface ClientStatus extends Omit<SessionReceiverStatus, 'heldBytes' | 'heldBeforeBytes'> {
  /** The name of the object. */
  readonly name: string;
  readonly contentSizeBytes: number;
}

export const serveChecks: Checks<ServeOptions> = {
  paths: required(listOf(text)),
  port: required(ownPort),
  bind: hosts,
  networkPaths,
  keyPair: required(keyPair),
  trustClient: required(callback),
  indexFolder: text,
  maxClients: amount,
  rateBytesPerSec: check(
    'at least 1000 bytes per second',
    (value) => number(value, '') === undefined && Number(value) >= 1000,
  ),
  maxOpenFiles: amount,
  multicast: text,
  multicastTtl: wholeNumber(1, 255),
  livenessTimeoutMs: amount,
  progressIntervalMs: amount,
  signal,
  onEvent: callback,
};
