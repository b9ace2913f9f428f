/** What a peer of an exchange reports to its shell. */
import type { TimeMs } from '../../base/machine.js';
import type { RefusedEvent } from '../../base/refusal.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { FetchSegment } from '../fetch/fetch-events.js';
import type { GroupEvent } from '../fetch/fetch-result.js';
import type { RemoteObject } from './objects/remote-object.js';
import type { RosterPeer } from './roster.js';

export type PeerEvent =
  /** The coordinator has shown its key. Call `trust`. */
  | { readonly type: 'identify'; readonly ask: number; readonly serverKey: Uint8Array }
  /** The coordinator lets this host take part, as the peer with this number. */
  | { readonly type: 'welcome'; readonly peer: number; readonly expectedPeers: number }
  /** The coordinator is silent. The exchange continues, and the coordinator is asked again. */
  | { readonly type: 'coordinator-lost'; readonly reason: string }
  /** Another peer takes part, and its objects are known. */
  | { readonly type: 'peer'; readonly peer: RosterPeer }
  /** The coordinator hears of a peer again, or not any more; see its `presence`. */
  | { readonly type: 'presence'; readonly peer: RosterPeer }
  /** Everybody has what there is. The exchange ends at this time if these peers, which were lost, do not come back. */
  | { readonly type: 'awaited'; readonly peers: readonly RosterPeer[]; readonly untilMs: TimeMs }
  /** The exchange begins at this time by the clock of this host, which can be wrong by this much. */
  | { readonly type: 'start'; readonly atMs: TimeMs; readonly uncertaintyMs: number }
  /** Manifest and digests of an object are known, and blocks are asked for; what is held already is known, too. */
  | { readonly type: 'ready'; readonly object: RemoteObject }
  /** A source of an object is used. */
  | { readonly type: 'joined'; readonly object: RemoteObject; readonly source: string }
  /** A source of an object has finished, or lost, a contiguous run of blocks. */
  | (Omit<FetchSegment, 'source'> & { readonly source: string; readonly object: RemoteObject })
  /** A source of an object is not, or no longer, used. */
  | {
      readonly type: 'left';
      readonly object: RemoteObject;
      readonly source: string;
      readonly reason: string;
      readonly isRetried: boolean;
    }
  /** An object cannot be kept, for example because the disk is full. It is tried again. */
  | { readonly type: 'failed'; readonly object: RemoteObject; readonly reason: string }
  /** An object is stored under its final names; the time is since the start. */
  | { readonly type: 'stored'; readonly object: RemoteObject; readonly elapsedMs: number }
  /**
   * The exchange is over for this host. The reason is empty if it has everything. The time is from the start until the
   * last object was stored, or until now if this host misses something.
   */
  | {
      readonly type: 'end';
      readonly reason: string;
      readonly elapsedMs: number;
      /** Whether one side does not let the other take part. */
      readonly isRefused: boolean;
    }
  | GroupEvent
  | RefusedEvent
  | FaultEvent;
