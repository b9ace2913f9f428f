/** What a coordinator reports to its shell. */
import type { TimeMs } from '../../base/machine.js';
import type { ExchangedContent, RosterObject, RosterPeer } from './roster.js';

export type CoordinatorEvent =
  /** A peer takes part, and its objects are known. A peer that joins again is another one. */
  | { readonly type: 'joined'; readonly peer: RosterPeer }
  | { readonly type: 'absent'; readonly peer: RosterPeer }
  | { readonly type: 'back'; readonly peer: RosterPeer }
  /** The exchange begins at this time. */
  | { readonly type: 'start'; readonly atMs: TimeMs }
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
