/** What a schedule of a fetch is made for. */
import type { ReadonlyRangeSet } from '../../base/range-set.js';

export interface FetchSchedulerOptions {
  readonly contentSizeBytes: number;
  readonly blockSizeBytes: number;
  /** The blocks that are not held yet. */
  readonly missing: ReadonlyRangeSet;
  /**
   * `speed`: the share of a source follows its speed. `equal`: as many equal contiguous parts as there are sources
   * at the begin, and only the rest of a source that leaves or delivers nothing is shared among the others. Each source
   * must then hold the whole object.
   */
  readonly split: 'speed' | 'equal';
  /** Missing blocks that cannot be asked for before `release` is called for them; none by default. */
  readonly later?: ReadonlyRangeSet | undefined;
  /** In an exchange: with which part of the content to begin, from 0 to 1, so that peers get different blocks. */
  readonly beginsAt?: number;
  /** Whether blocks are asked for only once `hurry` was called for them, or `fetchAll`. */
  readonly isOnDemand?: boolean;
}
