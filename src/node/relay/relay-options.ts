/** The options and events of `relay`. */
import {
  amount,
  type Checks,
  callback,
  required,
  text,
  wholeNumber,
} from '../../base/options/check-options.js';
import type { RelayReport } from '../../roles/relay/relay-events.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import type { ServerSpec } from '../net/resolve-receivers.js';
import { hosts, keyPair, networkPaths, ownPort, serverSpecs, signal } from '../option-checks.js';
import type { ServeEvent, ServeOptions } from '../serve/serve-options.js';

/** Options of `relay`. */
export interface RelayFilesOptions
  extends Omit<ServeOptions, 'paths' | 'indexFolder' | 'onEvent' | 'signal'> {
  /** The servers that have the objects. Several servers are as many sources of each object. */
  readonly upstreams: readonly ServerSpec[];
  /** Decides which servers to trust. This option is required; `() => true` trusts any server that answers. */
  readonly trustUpstream: (
    upstream: string,
    serverKey: Uint8Array,
  ) => TrustAnswer | Promise<TrustAnswer>;
  /** The folder of the cache; created if missing. Only one relay at a time can use it. */
  readonly cacheFolder: string;
  /** What the cache may take on disk. Larger objects pass through. */
  readonly cacheLimitBytes: number;
  /** Clients are asked to wait if no upstream server answers or delivers in this time; 10 s by default. */
  readonly answerTimeoutMs?: number;
  /** What is being fetched fails after this time without any upstream server; 60 s by default. */
  readonly patienceMs?: number;
  /** Stops the relay, like `close`. */
  readonly signal?: AbortSignal;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: RelayFilesEvent) => void;
}

/** What `relay` reports while it runs. */
export type RelayFilesEvent = ServeEvent | RelayReport;

export const relayChecks: Checks<RelayFilesOptions> = {
  upstreams: required(serverSpecs),
  trustUpstream: required(callback),
  cacheFolder: required(text),
  cacheLimitBytes: required(amount),
  port: required(ownPort),
  bind: hosts,
  networkPaths,
  keyPair: required(keyPair),
  trustClient: required(callback),
  maxClients: amount,
  rateBytesPerSec: amount,
  maxOpenFiles: amount,
  multicast: text,
  multicastTtl: wholeNumber(1, 255),
  livenessTimeoutMs: amount,
  progressIntervalMs: amount,
  answerTimeoutMs: amount,
  patienceMs: amount,
  signal,
  onEvent: callback,
};
