/** Options, events and result of `send`. */
import type { P2mpError } from '../base/errors.js';
import type { Checks } from '../base/options/check-options.js';
import {
  amount,
  callback,
  check,
  flag,
  listOf,
  number,
  objectOf,
  oneOf,
  required,
  text,
  wholeNumber,
} from '../base/options/check-options.js';
import type {
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/sender-events.js';
import type { Deletion, ExistingFiles } from '../wire/offer.js';
import { deletions, existingFiles } from '../wire/offer.js';
import type { ExclusionOptions } from './disk/source/exclusions.js';
import type { ObjectSource } from './disk/source/object-source.js';
import type { KeyPair } from './keys/key-files.js';
import type { TrustAnswer } from './keys/trust-answer.js';
import type { MulticastChoice } from './net/groups/group-address.js';
import type { Offload } from './net/offload/offload-socket.js';
import type { NetworkPaths } from './net/paths/local-paths.js';
import type { ServerSpec } from './net/resolve-receivers.js';
import { keyPair, networkPaths, serverSpecs, signal } from './option-checks.js';

/**
 * Decides whether to trust a receiver with this key.
 * @param name `host:port` as given by the caller
 */
export type TrustReceiver = (
  name: string,
  receiverKey: Uint8Array,
) => Promise<TrustAnswer> | TrustAnswer;

/** Options of `send`: the files to send, the receivers and the settings of the session. */
export interface SendOptions {
  /** Files and folders; `-` reads `input`. */
  readonly paths: string | readonly string[];
  /** The receivers. Each receiver is given by one of its addresses. */
  readonly receivers: readonly ServerSpec[];
  /** Key pair that identifies this sender to receivers; by default, a new key pair for this session only. */
  readonly keyPair?: KeyPair;
  /**
   * Codes that the receivers' `invite` returned. They make receivers trust this sender, but not the reverse:
   * `trustReceiver` decides which receivers to trust; `parseInvitation` returns the key to expect.
   */
  readonly invitations?: readonly string[];
  /**
   * Decides which receivers to trust. This option is required; `() => true` trusts any receiver that
   * answers.
   */
  readonly trustReceiver: TrustReceiver;
  /** Stream that is sent for the path `-`; standard input by default. */
  readonly input?: NodeJS.ReadableStream;
  /** Name of the file in which receivers store `input`. */
  readonly inputName?: string;
  /** Default `auto`. */
  readonly multicast?: MulticastChoice;
  /** TTL (hop limit) of multicast datagrams. The default 1 keeps them on the local network. */
  readonly multicastTtl?: number;
  /**
   * Interfaces or local addresses from which to send to each receiver at once, or `auto` for those that lead to the
   * receivers. By default, the system chooses one.
   */
  readonly networkPaths?: NetworkPaths;
  /** Maximum rate. By default, only congestion control limits the rate. */
  readonly rateBytesPerSec?: number;
  /** Bytes per segment. The default `auto` uses the largest size that the paths to all receivers carry. */
  readonly mssBytes?: number | 'auto';
  /** Time after which a silent receiver fails; 30 s by default. */
  readonly livenessTimeoutMs?: number;
  /**
   * How to treat files that receivers already have; `quick` by default: a file that this key has placed there, and
   * whose size and time have not changed, is neither read nor sent.
   */
  readonly existing?: ExistingFiles;
  /**
   * What receivers do with entries in the sent folders that are not sent; `none` by default. `delete`: they delete
   * them after they have placed everything. `list`: they only say what they would delete; nothing is sent or changed.
   * Entries that `exclusions` excludes, or that cannot be read here, are never deleted. Each receiver must allow it.
   */
  readonly deletion?: Deletion;
  /** Aborts the session. The result then shows which receivers are incomplete. */
  readonly signal?: AbortSignal;
  /** The destination at the receivers: `NAME` renames the only path; `FOLDER/` is where all paths go. */
  readonly dest?: string;
  /** What is not sent from the folders among the paths; everything is, by default. */
  readonly exclusions?: ExclusionOptions;
  /** Whether the first receiver that fails or refuses ends the session for all; false by default. */
  readonly failsFast?: boolean;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: SendEvent) => void;
}

/** Options of `planSend`: those of `send` except `trustReceiver`, because it contacts no receivers. */
export type PlanOptions = Omit<SendOptions, 'trustReceiver'>;

export const planChecks: Checks<PlanOptions> = {
  paths: required(
    check('a path or a list of paths', (value) =>
      [value].flat().every((path) => typeof path === 'string'),
    ),
  ),
  receivers: required(serverSpecs),
  keyPair,
  invitations: listOf(text),
  input: check('a readable stream', (value) => typeof Object(value).pipe === 'function'),
  inputName: text,
  multicast: text,
  multicastTtl: wholeNumber(1, 255),
  networkPaths,
  rateBytesPerSec: number,
  mssBytes: check(
    "a number or 'auto'",
    (value) => value === 'auto' || number(value, '') === undefined,
  ),
  livenessTimeoutMs: number,
  existing: oneOf(...existingFiles),
  deletion: oneOf(...deletions),
  signal,
  dest: text,
  exclusions: objectOf<ExclusionOptions>({
    excludeFrom: listOf(text),
    exclude: listOf(text),
    include: listOf(text),
  }),
  failsFast: flag,
  progressIntervalMs: amount,
  onEvent: callback,
};

export const sendChecks: Checks<SendOptions> = { ...planChecks, trustReceiver: required(callback) };

/** What `send` reports while it runs. */
export type SendEvent =
  | Extract<
      SessionSenderEvent,
      {
        type:
          | 'connect'
          | 'other-address'
          | 'port-refused'
          | 'unreachable'
          | 'silent'
          | 'deferred'
          | 'receiver'
          | 'fault';
      }
    >
  /** The source is open and the hosts are resolved. The sender now starts to connect. */
  | {
      readonly type: 'start';
      readonly label: string;
      readonly contentSizeBytes: number;
      readonly entryCount: number;
      /**
       * The multicast group, if one is used. The status of each receiver shows whether multicast reaches it.
       */
      readonly group?: string;
      readonly mssBytes: number;
      /** Whether the system sends datagrams in batches, with the reason if it does not. */
      readonly offload: Offload;
    }
  /** The session has restarted with smaller segments, before any content was sent. */
  | { readonly type: 'resize'; readonly mssBytes: number; readonly reason: string }
  /** An entry that is not sent. */
  | { readonly type: 'skipped'; readonly name: string; readonly reason: string }
  /** A pattern of `exclusions` that matched nothing, as the user wrote it. */
  | { readonly type: 'unused-pattern'; readonly pattern: string }
  | { readonly type: 'progress'; readonly receivers: readonly SessionReceiverStatus[] }
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string }
  /** The session has ended, also by an abort. This is the last event. */
  | { readonly type: 'end'; readonly result: SendResult };

/** The end of a session, for all receivers. */
export interface SendResult extends SessionSenderResult {
  readonly label: string;
  readonly entryCount: number;
  /** Bytes per segment. */
  readonly mssBytes: number;
  /** Entries that were not sent. */
  readonly skipped: ObjectSource['skipped'];
  /** The error that stopped the session, if any. */
  readonly error?: P2mpError;
}
