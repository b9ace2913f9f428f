/** What a fetch reports: its events, and the figures of each source. */
import type { TimeMs } from '../../base/machine.js';
import type { IncomingPathStatus } from '../../session/receiver-events.js';

/** The number of a source within one fetch. It is not used again. */
export type SourceIndex = number;

/** What a source of a fetch is doing. */
export type SourceState =
  /** Nothing can be asked of the source now. */
  | 'waiting'
  /** Blocks are asked of the source, and none has arrived yet. */
  | 'starting'
  | 'delivering'
  /** Blocks are asked of the source, and nothing has arrived for a while. */
  | 'stalled'
  | 'left';

/** Why blocks that were asked of a source were asked of others. */
export type ReplacedReason = 'slow' | 'left' | 'bad-block';

export type FetchEvent =
  /** Close the connection to the source. It sent a block with wrong content. */
  | { readonly type: 'drop'; readonly source: SourceIndex; readonly reason: 'bad-block' }
  /** A source has finished, or lost, a contiguous run of blocks. */
  | FetchSegment
  /** Every block has arrived. */
  | { readonly type: 'complete'; readonly atMs: TimeMs };

/** A contiguous run of blocks that one source was asked for. */
export interface FetchSegment {
  readonly type: 'segment';
  readonly source: SourceIndex;
  readonly firstByte: number;
  /** The bytes that this source delivered. */
  readonly sizeBytes: number;
  readonly startMs: TimeMs;
  readonly endMs: TimeMs;
  /** How many other sources had lost these blocks before. */
  readonly retries: number;
  /** Why the source lost the rest of the run. */
  readonly replaced?: ReplacedReason;
}

/** What one source contributes. */
export interface SourceReport {
  readonly name: string;
  readonly state: SourceState;
  /** Why it left. */
  readonly reason?: string;
  /** Bytes of verified blocks that were still missing when they arrived. */
  readonly deliveredBytes: number;
  /** Its part of all bytes that were delivered, 0 to 1. */
  readonly share: number;
  /** Missing until it is measured. */
  readonly rateBytesPerSec?: number;
  readonly rttMs: number;
  /** The share of its datagrams that were lost, 0 to 1. Missing until any was sent. */
  readonly lossRatio?: number;
  readonly blocksInFlight: number;
  /** The paths from it; missing if there is only one. */
  readonly paths?: readonly IncomingPathStatus[];
  /** Blocks that were asked of this source and then of others instead. */
  readonly blocksReplaced: number;
  /** Why it last lost blocks. */
  readonly replaced?: ReplacedReason;
}

/** What the sources contribute to a fetch. */
export interface FetchReport {
  readonly missingBlocks: number;
  readonly deliveredBytes: number;
  /** Bytes of blocks that arrived again. */
  readonly duplicateBytes: number;
  /** What all sources deliver now. */
  readonly rateBytesPerSec: number;
  /** What the sources could deliver now: the sum of the rates at which they deliver when they are busy, as far as measured. */
  readonly possibleBytesPerSec: number;
  readonly sources: readonly SourceReport[];
}
