/** What a relay reports beside what any server reports. */
import type { FaultEvent } from '../../wire/faults.js';
import type { RelayedObject } from './relayed-object.js';

/** An object by its content, in events of a relay. */
export interface RelayedInfo {
  readonly name: string;
  /** In hexadecimal. */
  readonly contentRoot: string;
  readonly contentSizeBytes: number;
}

/** What a relay reports to users, beside what any server reports. */
export type RelayReport =
  /** An upstream server is used for an object, or is not used for it any more. */
  | { readonly type: 'upstream-joined'; readonly name: string; readonly upstream: string }
  | {
      readonly type: 'upstream-left';
      readonly name: string;
      readonly upstream: string;
      readonly reason: string;
      /** Whether it is asked again. */
      readonly isRetried: boolean;
    }
  /** An upstream server does not answer, or lets this relay not fetch. It is asked again. Reported once for each reason. */
  | { readonly type: 'upstream-away'; readonly upstream: string; readonly reason: string }
  /** An upstream server answers, and lets this relay fetch. */
  | { readonly type: 'upstream-answers'; readonly upstream: string }
  /** A client gets an object that the cache holds. */
  | (RelayedInfo & { readonly type: 'hit' })
  /** A client gets an object that the cache does not hold, or not all of it. */
  | (RelayedInfo & { readonly type: 'miss' })
  /** An object is being fetched. */
  | (RelayedInfo & {
      readonly type: 'fill';
      /** Whether the cache keeps it. If not, only what clients wait for is fetched. */
      readonly isCached: boolean;
    })
  /** An object has been fetched. */
  | (RelayedInfo & {
      readonly type: 'filled';
      readonly fetchedBytes: number;
      readonly elapsedMs: number;
    })
  /** Nobody fetches an object any more that the cache does not keep, or the relay was stopped. */
  | (RelayedInfo & {
      readonly type: 'fill-stopped';
      readonly fetchedBytes: number;
      readonly elapsedMs: number;
      readonly reason: string;
    })
  /** An object cannot be fetched now. What has arrived is kept. */
  | (RelayedInfo & { readonly type: 'fill-failed'; readonly reason: string })
  /** An object was removed from the cache, to make room or because it was damaged. */
  | { readonly type: 'evicted'; readonly name: string; readonly contentSizeBytes: number }
  /** The cache cannot be written or read. */
  | { readonly type: 'cache-error'; readonly name: string; readonly reason: string }
  | FaultEvent;

/** What the role reports to its shell. */
export type RelayEvent =
  | RelayReport
  /** An upstream server has shown its key. Call `trust`. */
  | {
      readonly type: 'identify';
      readonly ask: number;
      readonly upstream: string;
      readonly serverKey: Uint8Array;
    }
  /** Clients cannot get the rest of an object: end their sessions. */
  | {
      readonly type: 'lost';
      readonly object: RelayedObject;
      readonly reason: string;
      /** Whether no upstream server is left that may be asked for it again. */
      readonly isFinal: boolean;
    };

/** What a relay has done so far. */
export interface RelayTotals {
  readonly hits: number;
  readonly misses: number;
  /** Content that was fetched from upstream servers. */
  readonly fetchedBytes: number;
  readonly evictions: number;
}
