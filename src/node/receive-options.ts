/** Options and events of `receive`. */
import { P2mpError } from '../base/errors.js';
import type { Checks } from '../base/options/check-options.js';
import {
  amount,
  callback,
  checkOptions,
  flag,
  listOf,
  objectOf,
  oneOf,
  required,
  text,
} from '../base/options/check-options.js';
import type {
  IncomingInfo,
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from '../session/receiver-events.js';
import type { ExistingFiles } from '../wire/offer.js';
import { existingFiles } from '../wire/offer.js';
import type { ReceiveFileOptions } from './file-receiver.js';
import { receiveFileChecks } from './file-receiver.js';
import type { KeyPair } from './keys/key-files.js';
import type { TrustAnswer } from './keys/trust-answer.js';
import type { NetworkPaths } from './net/paths/local-paths.js';
import { hosts, keyPair, networkPaths, ownPort, signal } from './option-checks.js';

/** Options of `receive`: the addresses to listen on, the senders to trust and the target folder. */
export interface ReceiveOptions {
  /** The target folder; created if missing. */
  readonly dir: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /**
   * Interfaces or local addresses at which senders reach this receiver by several paths at once; `auto` for those of this
   * host. It listens on these and on `bind`, and on nothing else. By default, there is one path.
   */
  readonly networkPaths?: NetworkPaths;
  /** Name that this receiver reports to senders; the host name by default. */
  readonly name?: string;
  /** Identifies this receiver to senders. */
  readonly keyPair: KeyPair;
  /**
   * Decides whether to trust a sender with this key. This option is required; `() => true` accepts any sender.
   */
  readonly trustSender: (senderKey: Uint8Array) => TrustAnswer;
  /** Decides whether a relay with this key may bring what trusted senders send. By default, none may. */
  readonly trustRelay?: (relayKey: Uint8Array) => TrustAnswer;
  /** How to treat existing files. By default, the sender decides. */
  readonly existing?: ExistingFiles;
  /**
   * Whether existing files and folders take the modes of the sender's files and folders. By default, they
   * keep their own modes.
   */
  readonly updatesModes?: boolean;
  /**
   * Decides whether a sender with this key may delete what it does not send, in the folders that it sends; by default,
   * none may. Such a sender can delete everything below each folder in `dir` that it names, and learns the names of it.
   */
  readonly mayDelete?: (senderKey: Uint8Array) => boolean;
  /** Files and folders below `dir` that no sender may delete; `placedPath` is always one of them. */
  readonly protectedPaths?: readonly string[];
  /** Maximum number of concurrent sessions; 256 by default. */
  readonly maxSessions?: number;
  /**
   * Maximum disk space of one session. Whole disk blocks are counted: at least one for each file, folder and
   * link.
   */
  readonly maxObjectBytes?: number;
  /** Maximum number of files, folders and links in one session; 1,000,000 by default. */
  readonly maxEntries?: number;
  /**
   * Maximum number of open files, for all sessions together. The default is 256, or less if the limit of the
   * process is lower.
   */
  readonly maxOpenFiles?: number;
  /**
   * Whether all data is read back from the disk before files get their final names. Small objects and objects
   * that arrive slowly are always read back.
   */
  readonly verifiesDisk?: boolean;
  /**
   * Whether a sender can continue a transfer of the same object that a sender with another key has started.
   * This is useful for receivers that accept any sender, because a sender can then have a new key each time.
   * By default, only a sender with the same key can continue a transfer.
   */
  readonly sharesParts?: boolean;
  /**
   * Whether the sender's files are compared with all existing files. If so, a sender can test guesses about
   * the content of files that it has never had. By default, the comparison covers only files that a sender
   * with the same key has placed.
   */
  readonly comparesAll?: boolean;
  /**
   * Path of the file that records which sender has placed which file. By default, this record is lost when
   * the receiver stops.
   */
  readonly placedPath?: string;
  /**
   * Age after which unused data of incomplete transfers is removed; 14 days by default. The receiver checks
   * for such data when it starts and then at least daily.
   */
  readonly keepPartsMs?: number;
  /** Duration of silence after which the session of a sender fails. */
  readonly idleMs?: number;
  /**
   * Makes the receiver also accept P2MP-FTP on the same port, from one sender at a time, and write to this
   * path.
   */
  readonly classic?: Omit<ReceiveFileOptions, 'port' | 'bind'>;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Stops the receiver, like `close`. */
  readonly signal?: AbortSignal;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: ReceiveEvent) => void;
}

/** The events that a session receiver reports while it runs. */
export type ReceiveEvent =
  | Extract<
      SessionReceiverEvent,
      { type: 'offer' | 'invited' | 'invited-relay' | 'turned-away' | 'fault' | 'internal-error' }
    >
  /**
   * A stored block is not the sender's: it was damaged, or is of an older version. The receiver requests the block.
   */
  | {
      readonly type: 'bad-block';
      readonly info: IncomingInfo;
      /** Index within the content. */
      readonly block: number;
      /** The files that it overlaps. */
      readonly names: readonly string[];
    }
  /**
   * The status of each active session. Reported once in each interval while sessions are active, and once
   * more, with an empty list, after the last one has ended.
   */
  | { readonly type: 'progress'; readonly sessions: readonly IncomingStatus[] }
  /** A session's outcome. */
  | { readonly type: 'end'; readonly result: IncomingResult }
  /**
   * The receiver could not join a multicast group, so the session uses unicast. Reported once for each
   * reason.
   */
  | { readonly type: 'no-group'; readonly group: string; readonly reason: string }
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

const { port: _port, bind: _bind, ...classicChecks } = receiveFileChecks;

const receiveChecks: Checks<ReceiveOptions> = {
  dir: required(text),
  port: required(ownPort),
  bind: hosts,
  networkPaths,
  name: text,
  keyPair: required(keyPair),
  trustSender: required(callback),
  trustRelay: callback,
  existing: oneOf(...existingFiles),
  updatesModes: flag,
  mayDelete: callback,
  protectedPaths: listOf(text),
  maxSessions: amount,
  maxObjectBytes: amount,
  maxEntries: amount,
  maxOpenFiles: amount,
  verifiesDisk: flag,
  sharesParts: flag,
  comparesAll: flag,
  placedPath: text,
  keepPartsMs: amount,
  idleMs: amount,
  classic: objectOf<Omit<ReceiveFileOptions, 'port' | 'bind'>>(classicChecks),
  progressIntervalMs: amount,
  signal,
  onEvent: callback,
};

/** @throws P2mpError INVALID_ARGUMENT */
export function checkReceiveOptions(options: ReceiveOptions): void {
  checkOptions(options, receiveChecks);
  if (options.mayDelete === undefined || options.existing !== 'keep') return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    'mayDelete and existing: "keep" contradict each other; give only one',
  );
}
