/** The options and events of `fetch`. */
import {
  amount,
  type Checks,
  callback,
  check,
  flag,
  listOf,
  oneOf,
  required,
  text,
} from '../../base/options/check-options.js';
import type { FetchReport } from '../../roles/fetch/fetch-events.js';
import type { FetchActivity, FetchRoleEvent } from '../../roles/fetch/fetch-result.js';
import type { ExistingFiles } from '../../wire/offer.js';
import { existingFiles } from '../../wire/offer.js';
import type { KeyPair } from '../keys/key-files.js';
import type { TrustAnswer } from '../keys/trust-answer.js';
import type { NetworkPaths } from '../net/paths/local-paths.js';
import type { ServerSpec } from '../net/resolve-receivers.js';
import {
  hosts,
  keyPair,
  networkPaths,
  ownPort,
  publicKey,
  serverSpecs,
  signal,
} from '../option-checks.js';

/** Options of `fetch`. */
export interface FetchFilesOptions {
  /** The name of the object at the sources. Without it, `root` must be given. */
  readonly name?: string;
  /** The content root of the object, 64 hexadecimal digits. */
  readonly root?: string;
  /** The hosts to fetch from, which run `serve`. By default, the name of a source is `host:port`. */
  readonly sources: readonly ServerSpec[];
  /** The target folder; created if missing. */
  readonly dir: string;
  /** Identifies this host to the sources; by default, a new key pair for this fetch only. */
  readonly keyPair?: KeyPair;
  /** Decides which sources, given as `host:port`, to trust. This option is required; `() => true` trusts any source that answers. */
  readonly trustSource: (
    source: string,
    sourceKey: Uint8Array,
  ) => TrustAnswer | Promise<TrustAnswer>;
  /**
   * Codes that the servers' `invite` returned. They make servers trust this host, but not the reverse: `trustSource` decides
   * which servers to trust; `parseInvitation` returns the key to expect.
   */
  readonly invitations?: readonly string[];
  /**
   * The public key of the host that must say which content `name` has, itself or through relays. Nothing else is fetched
   * then. By default, the sources say it.
   */
  readonly originKey?: Uint8Array;
  /**
   * `speed`: the share of each source follows its speed. `equal`: each source sends an equal part, and only the rest of
   * a source that is lost, or has sent nothing for a second, is taken over by the others. `speed` by default.
   */
  readonly split?: 'speed' | 'equal';
  /** What happens to existing files; `update` by default. */
  readonly existing?: ExistingFiles;
  /** The fetch fails after this time without any source; 60 s by default. */
  readonly patienceMs?: number;
  /** The local UDP port; by default, any free port. */
  readonly port?: number;
  /** Local addresses; all by default. */
  readonly bind?: readonly string[];
  /**
   * Interfaces or local addresses at which each source reaches this host by several paths at once; `auto` for those that
   * lead to the sources. It uses these and `bind`, and nothing else. By default, there is one path.
   */
  readonly networkPaths?: NetworkPaths;
  /** Content bytes per datagram that the paths are expected to carry; 1400 by default. */
  readonly mssBytes?: number;
  /** Whether everything is read back from the disk before files get their final names. */
  readonly verifiesDisk?: boolean;
  /** Maximum number of open files; 256 by default, or less if the limit of the process is lower. */
  readonly maxOpenFiles?: number;
  /** Stops the fetch. What has arrived is kept. */
  readonly signal?: AbortSignal;
  /** Interval of `progress` events; 1000 ms by default. */
  readonly progressIntervalMs?: number;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: FetchEvent) => void;
}

/** What `fetch` reports while it runs. */
export type FetchEvent =
  /** The times of a `segment` count from the start of the fetch. */
  | Exclude<FetchRoleEvent, { type: 'identify' | 'join' | 'leave' | 'ready' }>
  | {
      readonly type: 'progress';
      readonly activity: FetchActivity;
      /** Undefined before blocks are asked for. */
      readonly report: FetchReport | undefined;
      readonly contentSizeBytes: number | undefined;
      readonly elapsedMs: number;
    }
  /** A multicast group cannot be joined, so the sources serve this host by unicast. Reported once for each reason. */
  | { readonly type: 'no-group'; readonly group: string; readonly reason: string }
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

export const fetchChecks: Checks<FetchFilesOptions> = {
  name: text,
  root: check('64 hexadecimal digits', (value) => /^[0-9a-f]{64}$/i.test(String(value))),
  sources: required(serverSpecs),
  dir: required(text),
  keyPair,
  trustSource: required(callback),
  invitations: listOf(text),
  originKey: publicKey,
  split: oneOf('speed', 'equal'),
  existing: oneOf(...existingFiles),
  patienceMs: amount,
  port: ownPort,
  bind: hosts,
  networkPaths,
  mssBytes: amount,
  verifiesDisk: flag,
  maxOpenFiles: amount,
  signal,
  progressIntervalMs: amount,
  onEvent: callback,
};
