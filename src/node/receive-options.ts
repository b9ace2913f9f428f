/** Options and events of `receive`. */
import { P2mpError } from '../base/errors.js';
import type {
  IncomingInfo,
  IncomingResult,
  SessionReceiverEvent,
} from '../session/receiver-events.js';
import type { ExistingFiles } from '../wire/messages.js';
import type { ReceiveFileOptions } from './file-receiver.js';
import type { KeyPair } from './keys/key-files.js';

/** Options of `receive`: where to listen, whom to trust and where to write. */
export interface ReceiveOptions {
  /** The target folder; created if missing. */
  readonly dir: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /** Name that this receiver reports; the host name by default. */
  readonly name?: string;
  /** Identifies this receiver to senders. */
  readonly keyPair: KeyPair;
  /**
   * Required: decides whether to trust a sender by its key. `() => undefined` accepts any sender.
   * @returns the reason for a refusal; undefined if the sender is trusted
   */
  readonly refuseSender: (senderKey: Uint8Array) => string | undefined;
  /** How to treat existing files; by default as the sender asks. */
  readonly existing?: ExistingFiles;
  /** Whether existing files and folders get the sender's modes; by default they keep theirs. */
  readonly updatesModes?: boolean;
  /** Maximum concurrent sessions; 256 by default. */
  readonly maxSessions?: number;
  /** Maximum disk space of one session; each file, folder and link counts in whole disk blocks. */
  readonly maxObjectBytes?: number;
  /** Maximum number of files, folders and links in one session; 1,000,000 by default. */
  readonly maxEntries?: number;
  /** Maximum open files of all sessions together; 256 by default, fewer if the process may open fewer. */
  readonly maxOpenFiles?: number;
  /**
   * Whether all data is read back from the disk before files get their names. Small objects and those that arrive
   * slowly are always read back.
   */
  readonly verifiesDisk?: boolean;
  /**
   * Whether any sender of an object may continue a part that another sender has started. This helps receivers that
   * accept any sender, because a sender may have a new key each time. By default, a part belongs to the key of its
   * sender.
   */
  readonly sharesParts?: boolean;
  /**
   * Whether an offer is compared with all existing files. A sender can then guess the content of files that it
   * never had. By default only files placed by the same key are compared.
   */
  readonly comparesAll?: boolean;
  /** File that records who has placed which file; by default this is forgotten when the receiver ends. */
  readonly placedPath?: string;
  /** Parts that nobody has continued for this long are removed, at the start and daily; 14 days. */
  readonly keepPartsMs?: number;
  /** Silence after which the session of a sender fails. */
  readonly idleMs?: number;
  /** Also receives by P2MP-FTP on the same port into this path, one sender at a time. */
  readonly classic?: Omit<ReceiveFileOptions, 'port' | 'bind'>;
  /** Stops the receiver, like `close`. */
  readonly signal?: AbortSignal;
  /** Called with everything that happens, as it happens. */
  readonly onEvent?: (event: ReceiveEvent) => void;
}

/** What a session receiver reports while it runs. */
export type ReceiveEvent =
  | Extract<SessionReceiverEvent, { type: 'offer' | 'turned-away' | 'fault' | 'internal-error' }>
  /** A held block was corrupt; it is received again. */
  | {
      readonly type: 'bad-block';
      readonly info: IncomingInfo;
      /** Index within the content. */
      readonly block: number;
      /** The files that it overlaps. */
      readonly names: readonly string[];
    }
  /** A session's outcome. */
  | { readonly type: 'end'; readonly result: IncomingResult }
  /** A multicast group could not be joined, so the session uses unicast instead. Reported once for each reason. */
  | { readonly type: 'no-group'; readonly group: string; readonly reason: string }
  /** The first datagram that the system refused to send, for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/** Checks required options, for callers without a type checker. A receiver without them would refuse every sender. */
export function checkRequired(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) continue;
    throw new P2mpError('INVALID_ARGUMENT', `${name}: this option is required`);
  }
}
