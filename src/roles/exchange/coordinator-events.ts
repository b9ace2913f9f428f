/** What a coordinator reports to its shell. */
import type { TimeMs } from '../../base/machine.js';
import type { ExchangedContent, RosterObject, RosterPeer } from './roster.js';

export type CoordinatorEvent =
  /** A peer takes part, and its objects are known. A peer that joins again is another one. */
  | { readonly type: 'joined'; readonly peer: RosterPeer }
  /** A peer is silent, or has left; see its `presence`. */
  | { readonly type: 'absent'; readonly peer: RosterPeer }
  | { readonly type: 'back'; readonly peer: RosterPeer }
  /** The exchange begins at this time. */
  | { readonly type: 'start'; readonly atMs: TimeMs }
  /**
   * Everybody has what there is. The exchange ends after this time if these peers, which were lost, do not come back. No
   * peers: nobody is waited for any more.
   */
  | { readonly type: 'awaited'; readonly peers: readonly RosterPeer[]; readonly forMs: number }
  /** A peer holds further blocks; the time is since the start. */
  | {
      readonly type: 'held';
      readonly peer: RosterPeer;
      readonly content: ExchangedContent;
      readonly atMs: number;
    }
  /** A peer has stored an object; the time is since the start. */
  | {
      readonly type: 'stored';
      readonly peer: RosterPeer;
      readonly object: RosterObject;
      readonly atMs: number;
    }
  /**
   * The exchange is over. The reason is empty if each peer that is present has everything. The time is from the start
   * until somebody last got anything.
   */
  | { readonly type: 'end'; readonly reason: string; readonly elapsedMs: number };
