/** What a fetch reports to its shell. */
import type { Address } from '../../base/address.js';
import type { RefusedEvent } from '../../base/refusal.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { FetchReport, FetchSegment } from './fetch-events.js';

/** Sources that offer the same content, in the order of their offers. */
export interface ContentGroup {
  /** In hexadecimal. */
  readonly contentRoot: string;
  readonly contentSizeBytes: number;
  readonly sources: readonly string[];
}

/** The outcome of a fetch. */
export interface FetchResult {
  readonly status: 'complete' | 'failed';
  readonly reason?: string;
  /** Whether no source is left that may be asked again. */
  readonly isFinal: boolean;
  /** What the sources offered. More than one group if they hold different content under the same name. */
  readonly groups: readonly ContentGroup[];
  /** Undefined if no content was chosen. */
  readonly object?: FetchedInfo;
  readonly elapsedMs: number;
  /** A note of the store for users; empty for none. */
  readonly note: string;
  /** Undefined before blocks were asked for. */
  readonly report?: FetchReport;
}

/** The content that a fetch has chosen. */
export interface FetchedInfo {
  readonly label: string;
  /** In hexadecimal. */
  readonly contentRoot: string;
  readonly manifestDigest: string;
  readonly contentSizeBytes: number;
}

/** What a fetch is doing. */
export type FetchActivity =
  | 'asking'
  | 'manifest'
  /** Finding out what the disk holds. */
  | 'preparing'
  /** Collecting the leaf digests. */
  | 'digests'
  | 'fetching'
  | 'storing'
  | 'ended';

/** A source offers what another fetch on this port receives from it in this session. It leaves at once. */
export interface SharedEvent {
  readonly type: 'shared';
  readonly source: string;
  readonly session: number;
}

/** A source asks to wait, such as a relay whose upstream servers do not answer. It is asked again. */
export interface DeferredEvent {
  readonly type: 'deferred';
  readonly source: string;
  readonly reason: string;
}

/** What the shell must do so that multicast reaches the host. */
export type GroupEvent =
  /** Join this group if the host can. */
  | { readonly type: 'join'; readonly session: number; readonly group: Address }
  /** Leave the group of the session, if it has one. */
  | { readonly type: 'leave'; readonly session: number };

/** What a fetch reports while it runs. */
export type FetchRoleEvent =
  /** A source has shown its key. Call `trust`. */
  | {
      readonly type: 'identify';
      readonly ask: number;
      readonly source: string;
      readonly serverKey: Uint8Array;
    }
  /** The content that will be fetched. */
  | { readonly type: 'chosen'; readonly object: FetchedInfo }
  /** Manifest and digests are known, and blocks are asked for. */
  | { readonly type: 'ready' }
  | DeferredEvent
  | SharedEvent
  /** A source joins the fetch. */
  | { readonly type: 'joined'; readonly source: string }
  /** A source is not, or no longer, used. */
  | {
      readonly type: 'left';
      readonly source: string;
      readonly reason: string;
      /** Whether it is asked again later. */
      readonly isRetried: boolean;
    }
  | (Omit<FetchSegment, 'source'> & { readonly source: string })
  | { readonly type: 'end'; readonly result: FetchResult }
  | GroupEvent
  | OtherAddressEvent
  | RefusedEvent
  | FaultEvent;
