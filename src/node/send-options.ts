/** What a push is asked for, what it reports on the way, and how it ends. */
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
 * Decides on a receiver by its key.
 * @param name `host:port` as it was called
 * @returns why it is not trusted; undefined where it is
 */
export type TrustReceiver = (
  name: string,
  receiverKey: Uint8Array,
) => Promise<string | undefined> | string | undefined;

/** Options of `send`: what to send, to whom, and how. */
export interface SendOptions {
  /** Files and folders; `-` is `input`. */
  readonly paths: readonly string[];
  readonly receivers: readonly ServerSpec[];
  /** This sender's key, by which receivers know it; one for this session alone if left out. */
  readonly keyPair?: KeyPair;
  /** Required: `() => undefined` trusts whoever answers. */
  readonly trustReceiver: TrustReceiver;
  /** What `-` reads from; standard input if left out. */
  readonly input?: NodeJS.ReadableStream;
  readonly inputName?: string;
  /** `auto` if left out. */
  readonly multicast?: MulticastChoice;
  /** Routers that multicast may pass, less one; 1 if left out: it stays on one network. */
  readonly multicastTtl?: number;
  /** A fixed limit; as fast as the path allows if left out. */
  readonly rateBytesPerSec?: number;
  /** Bytes per segment; `auto`, if left out, finds out what the paths to all receivers carry. */
  readonly mssBytes?: number | 'auto';
  readonly giveUpAfterMs?: number;
  /** What becomes of files that receivers have already; `update` if left out. */
  readonly existing?: ExistingFiles;
  /** Stops the session; the result then says which receivers were not complete. */
  readonly signal?: AbortSignal;
  /** How often `progress` is told; 1000 if left out. */
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
  /** The source is open, the hosts are known; calling begins. */
  | {
      readonly type: 'start';
      readonly label: string;
      readonly contentSizeBytes: number;
      readonly entryCount: number;
      /** Whether a group was chosen; each receiver's status says whether it hears it. */
      readonly group?: string;
      readonly mssBytes: number;
      /** Whether the system sends batches of datagrams, and why if it does not. */
      readonly offload: Offload;
    }
  /** Before any content, the session has begun anew with smaller segments, for this reason. */
  | { readonly type: 'resize'; readonly mssBytes: number; readonly reason: string }
  /** Something that is not sent, with its reason. */
  | { readonly type: 'skipped'; readonly name: string; readonly reason: string }
  | { readonly type: 'progress'; readonly receivers: readonly SessionReceiverStatus[] }
  /** The first datagram that the system refused, of each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/** The end of a session, for all receivers. */
export interface SendResult extends SessionSenderResult {
  readonly label: string;
  readonly entryCount: number;
  /** Bytes per segment. */
  readonly mssBytes: number;
  /** What was not sent, each with its reason. */
  readonly skipped: ObjectSource['skipped'];
  /** What stopped the session, where something did. */
  readonly error?: P2mpError;
}
