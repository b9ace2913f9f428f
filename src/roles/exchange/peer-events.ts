/** What a peer of an exchange reports to its shell. */
import type { TimeMs } from '../../base/machine.js';
import type { FetchSegment } from '../fetch/fetch-events.js';
import type { GroupEvent } from '../fetch/fetch-result.js';
import type { RemoteObject } from './remote-object.js';
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
  | { readonly type: 'presence'; readonly peer: RosterPeer }
  /** The exchange begins at this time by the clock of this host, which can be wrong by this much. */
  | { readonly type: 'start'; readonly atMs: TimeMs; readonly uncertaintyMs: number }
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
  /** An object is stored under its final names; the time is since the start. */
  | { readonly type: 'stored'; readonly object: RemoteObject; readonly elapsedMs: number }
  /** The exchange is over for this host. The reason is empty if it has everything. */
  | { readonly type: 'end'; readonly reason: string; readonly elapsedMs: number }
  | GroupEvent;
