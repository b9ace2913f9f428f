/** Options, events and result of `send`. */
import type { P2mpError } from '../base/errors.js';
import type {
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/sender-events.js';
import type { ExistingFiles } from '../wire/messages.js';
import type { ObjectSource } from './disk/source/object-source.js';
import type { KeyPair } from './keys/key-files.js';
import type { MulticastChoice } from './net/group-address.js';
import type { Offload } from './net/offload/offload-socket.js';
import type { ServerSpec } from './net/resolve-receivers.js';

/**
 * Decides whether to trust a receiver with this key.
 * @param name `host:port` as given by the caller
 * @returns the reason for a refusal; undefined if the receiver is trusted
 */
export type TrustReceiver = (
  name: string,
  receiverKey: Uint8Array,
) => Promise<string | undefined> | string | undefined;

/** Options of `send`: what to send, to whom, and how. */
export interface SendOptions {
  /** Files and folders; `-` reads `input`. */
  readonly paths: readonly string[];
  /** The receivers, each by one of its addresses. */
  readonly receivers: readonly ServerSpec[];
  /** Identifies this sender to receivers; by default a key for this session only. */
  readonly keyPair?: KeyPair;
  /** Required; `() => undefined` trusts any receiver that answers. */
  readonly trustReceiver: TrustReceiver;
  /** Read for the path `-`; standard input by default. */
  readonly input?: NodeJS.ReadableStream;
  /** Name of the file that receivers create from `input`. */
  readonly inputName?: string;
  /** Default `auto`. */
  readonly multicast?: MulticastChoice;
  /** TTL (hop limit) of multicast datagrams; 1 by default, which stays on the local network. */
  readonly multicastTtl?: number;
  /** A fixed rate limit; congestion control alone by default. */
  readonly rateBytesPerSec?: number;
  /** Bytes per segment. `auto`, the default, discovers what the paths to all receivers carry. */
  readonly mssBytes?: number | 'auto';
  /** A receiver that is silent for this long fails; 30 s by default. */
  readonly livenessTimeoutMs?: number;
  /** How to treat files that receivers already have; `update` by default. */
  readonly existing?: ExistingFiles;
  /** Aborts the session; the result then shows which receivers were not complete. */
  readonly signal?: AbortSignal;
  /** Interval of `progress` events; 1000 by default. */
  readonly progressIntervalMs?: number;
  /** Called with everything that happens, as it happens. */
  readonly onEvent?: (event: SendEvent) => void;
}

/** What `send` reports while it runs. */
export type SendEvent =
  | Extract<
      SessionSenderEvent,
      {
        type:
          | 'connect'
          | 'other-address'
          | 'port-refused'
          | 'silent'
          | 'deferred'
          | 'receiver'
          | 'fault'
          | 'done';
      }
    >
  /** The source is open and the hosts are resolved; connecting starts. */
  | {
      readonly type: 'start';
      readonly label: string;
      readonly contentSizeBytes: number;
      readonly entryCount: number;
      /** The group, if one is used; each receiver's status shows whether multicast reaches it. */
      readonly group?: string;
      readonly mssBytes: number;
      /** Whether the system sends batches of datagrams, and the reason if not. */
      readonly offload: Offload;
    }
  /** The session restarted with smaller segments before any content was sent. */
  | { readonly type: 'resize'; readonly mssBytes: number; readonly reason: string }
  /** An entry that is not sent. */
  | { readonly type: 'skipped'; readonly name: string; readonly reason: string }
  | { readonly type: 'progress'; readonly receivers: readonly SessionReceiverStatus[] }
  /** The first datagram that the system refused to send, for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

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
