/** The options and events of a relay that sends on what it receives. */
import {
  amount,
  type Checks,
  callback,
  listOf,
  required,
  text,
  wholeNumber,
} from '../../base/options/check-options.js';
import type { RefusedEvent } from '../../base/refusal.js';
import type { IncomingInfo } from '../../session/receiver-events.js';
import type { SessionReceiverOutcome } from '../../session/sender-events.js';
import type { KeyPair } from '../keys/key-files.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import type { MulticastChoice } from '../net/groups/group-address.js';
import type { NetworkPaths } from '../net/paths/local-paths.js';
import type { ServerSpec } from '../net/resolve-receivers.js';
import { hosts, keyPair, networkPaths, ownPort, serverSpecs, signal } from '../option-checks.js';
import type { ReceiveEvent } from '../receive-options.js';
import type { TrustReceiver } from '../send-options.js';

/** Options of `relay` for a relay that sends on what it receives. */
export interface SendOnOptions {
  /** The receivers behind the relay, which get each object that it receives. */
  readonly to: readonly ServerSpec[];
  /** The folder where content is while it passes; created if missing. */
  readonly dir: string;
  /** UDP port; 0 for any free one. */
  readonly port: number;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /**
   * Interfaces or local addresses from which to receive and send by several paths at once; `auto` for those of this host. It
   * listens on these and on `bind`, and on nothing else. By default, there is one path.
   */
  readonly networkPaths?: NetworkPaths;
  /** Name that the relay reports to senders; the host name by default. */
  readonly name?: string;
  /** Identifies the relay to senders and receivers. */
  readonly keyPair: KeyPair;
  /** Decides whether to take objects of a sender with this key. */
  readonly trustSender: (senderKey: Uint8Array) => TrustAnswer;
  /** Decides whether another relay with this key may bring what trusted senders send. By default, none may. */
  readonly trustRelay?: (relayKey: Uint8Array) => TrustAnswer;
  /** Decides whether to send to a receiver with this key. The sender of the object decides as well. */
  readonly trustReceiver: TrustReceiver;
  /**
   * Codes that the receivers' `invite` returned. They make receivers trust this relay, and the sender of the first object
   * that it brings, but not the reverse: `trustReceiver` decides which receivers to trust.
   */
  readonly invitations?: readonly string[];
  /** The multicast group for the receivers; `auto` by default. */
  readonly multicast?: MulticastChoice;
  /** TTL of multicast datagrams; 1 by default. */
  readonly multicastTtl?: number;
  /** Limit of the rate of each session with the receivers. */
  readonly rateBytesPerSec?: number;
  /** A receiver that is silent for this long fails; 30 s by default. */
  readonly livenessTimeoutMs?: number;
  /** The session of a sender that is silent for this long fails; 60 s by default. */
  readonly idleMs?: number;
  /** Maximum number of objects at the same time; 256 by default. */
  readonly maxSessions?: number;
  /** Maximum disk space of one object. */
  readonly maxObjectBytes?: number;
  /** Maximum number of open files; 256 by default. */
  readonly maxOpenFiles?: number;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Stops the relay, like `close`. */
  readonly signal?: AbortSignal;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: SendOnEvent) => void;
}

/** What a relay reports that sends on what it receives. */
export type SendOnEvent =
  | Exclude<ReceiveEvent, { type: 'bad-block' }>
  /** A receiver behind the relay has its outcome. */
  | {
      readonly type: 'receiver';
      readonly info: IncomingInfo;
      readonly outcome: SessionReceiverOutcome;
    }
  | RefusedEvent
  /** A session with the receivers has begun again with smaller segments. */
  | { readonly type: 'resize'; readonly mssBytes: number; readonly reason: string };

export const sendOnChecks: Checks<SendOnOptions> = {
  to: required(serverSpecs),
  dir: required(text),
  port: required(ownPort),
  bind: hosts,
  networkPaths,
  name: text,
  keyPair: required(keyPair),
  trustSender: required(callback),
  trustRelay: callback,
  trustReceiver: required(callback),
  invitations: listOf(text),
  multicast: text,
  multicastTtl: wholeNumber(1, 255),
  rateBytesPerSec: amount,
  livenessTimeoutMs: amount,
  idleMs: amount,
  maxSessions: amount,
  maxObjectBytes: amount,
  maxOpenFiles: amount,
  progressIntervalMs: amount,
  signal,
  onEvent: callback,
};
