/** Reassembles blocks from segments, decrypts them, and keeps track of the blocks that are missing (SESSIONS 5). */

import { at } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { RangeSet } from '../base/range-set.js';
import type { SessionGeometry } from '../object/geometry.js';
import { segmentCountOfBlock, sizeOfBlock } from '../object/geometry.js';
import type { BlockSeal } from '../security/block-seal.js';
import type { FaultKind } from '../wire/faults.js';
import { maxPaths } from '../wire/paths.js';
import { tagSizeBytes } from '../wire/sizes.js';
import type { GapList } from './gap-list.js';
import { listGaps } from './gap-list.js';
import type { MemoryBudget } from './partial-block.js';
import { PartialBlock } from './partial-block.js';
import type { SegmentBatch } from './segment-batch.js';

/** After this many forged blocks, every datagram must carry an authentication tag. */
const forgedBlocksBeforeTags = 1;

/**
 * After this many changes of generation in partial blocks, every datagram must carry an authentication tag.
 */
const clashesBeforeTags = 8;

/** The result of a segment batch. */
export interface Taken {
  /** Number of new datagrams in the batch. */
  readonly newCount: number;
  /** Content of the block, if this batch completed the block. */
  readonly content?: Uint8Array;
  /** Kind of fault found in the batch, and the number of datagrams that have the fault. */
  readonly fault?: FaultKind;
  readonly faultCount?: number;
}

/** Maximum size of `notLost`. If more blocks are dropped, the loss count becomes too high. */
const mostNotLost = 65_536;

/** Maximum number of buffers that are kept for later blocks. */
const maxSpareBuffers = 16;

export class Reassembler {
  /** The blocks that are needed and not yet complete. */
  missing = new RangeSet();
  /** Whether every datagram must carry an authentication tag, because data was probably forged. */
  wantsTags = false;
  datagramsReceived = 0;
  duplicates = 0;
  /** Content bytes of completed blocks. */
  receivedBytes = 0;
  segmentsLost = 0;
  /** Number of segments that are or were missing after their first transmission, whether they have arrived since or not. */
  lossesNoticed = 0;
  /** Content bytes that were passed on for writing and are not yet written. */
  unwrittenBytes = 0;
  private readonly partialBlocks = new Map<number, PartialBlock>();
  private readonly spare: ArrayBufferLike[] = [];
  private forgedBlocks = 0;
  private clashes = 0;
  /**
   * First and highest block of the current pass on each path. The sender sends the blocks of a pass in order. If a
   * block begins to arrive only after a later block, the whole first transmission of the block was lost. A block
   * before the first block of the pass starts a new pass and was not lost.
   */
  private readonly passes = Array.from({ length: maxPaths }, () => ({
    first: Infinity,
    highest: -1,
  }));
  /**
   * Blocks that were damaged, or were dropped to free memory. Such blocks are sent again although no datagram
   * was lost.
   */
  private readonly notLost = new Set<number>();

  constructor(
    private readonly geometry: SessionGeometry,
    private readonly seal: BlockSeal,
    private readonly budget: MemoryBudget,
    /** Time without new segments after which a partial block may be dropped to make room. */
    private readonly staleMs: number,
  ) {}

  /** Total size of the missing blocks. */
  get missingBytes(): number {
    const { blockCount, manifestBlockCount, blockSizeBytes } = this.geometry;
    const hasContent = blockCount > manifestBlockCount;
    const isLastMissing = hasContent && this.missing.has(blockCount - 1);
    const shortBytes = isLastMissing
      ? blockSizeBytes - sizeOfBlock(this.geometry, blockCount - 1)
      : 0;
    return this.missing.count * blockSizeBytes - shortBytes;
  }

  /** Marks a damaged block as missing, whether it arrived in this session or was present from the start. */
  markMissing(block: number): void {
    this.missing.add(block, block + 1);
    this.noteNotLost(block);
  }

  /** Adds blocks to those that are needed. Earlier blocks of the pass are not lost: they were not needed then. */
  want(start: number, end: number): void {
    this.missing.add(start, end);
    const highest = Math.max(...this.passes.map((pass) => pass.highest));
    for (let block = start; block < Math.min(end, highest); block++) this.noteNotLost(block);
  }

  /** Removes blocks from those that are needed, with what has arrived of them. */
  unwant(start: number, end: number): void {
    this.missing.remove(start, end);
    for (const block of this.partialBlocks.keys()) {
      if (block >= start && block < end) this.drop(block);
    }
  }

  /** Stores the new segments of a batch. */
  take(nowMs: TimeMs, batch: SegmentBatch): Taken {
    const { block, generation, count, path } = batch;
    this.datagramsReceived += count;
    if (!this.missing.has(block)) {
      this.duplicates += count;
      return { newCount: 0, fault: 'duplicate', faultCount: count };
    }
    let partial = this.partialBlocks.get(block);
    if (partial === undefined || partial.generation !== generation) {
      if (partial !== undefined) this.noteClash();
      partial = this.open(nowMs, block, generation, path);
      if (partial === undefined) {
        this.noteNotLost(block);
        return { newCount: 0, fault: 'no-room', faultCount: count };
      }
    }
    const repairedBefore = partial.repairedCount;
    const newCount = partial.take(batch, this.geometry.mssBytes);
    this.segmentsLost += partial.repairedCount - repairedBefore;
    const repeatedCount = count - newCount;
    this.duplicates += repeatedCount;
    if (newCount > 0) partial.takenAtMs = nowMs;
    if (partial.isComplete) return this.complete(block, partial, newCount);
    return repeatedCount === 0
      ? { newCount }
      : { newCount, fault: 'duplicate', faultCount: repeatedCount };
  }

  /**
   * Whether the batch passes the check of its tag. A batch without tags passes unless tags are required; its
   * authenticity is checked when the block is decrypted.
   */
  isOfSession(batch: SegmentBatch): boolean {
    if (!batch.isTagged) return !this.wantsTags;
    return this.seal.hasTag(batch.header(0), batch.body(0), batch.tag(0));
  }

  /**
   * Lists the gaps from `firstBlock` (inclusive) to `endBlock` (exclusive). The list ends early if a report
   * cannot hold all gaps.
   * @param isCovered returns whether all datagrams by a path up to and including a burst have arrived or are lost
   */
  list(
    firstBlock: number,
    endBlock: number,
    isCovered: (path: number, burst: number) => boolean,
  ): GapList {
    const { segmentsPerBlock } = this.geometry;
    const { missing, partialBlocks } = this;
    const list = listGaps(missing, partialBlocks, firstBlock, endBlock, segmentsPerBlock);
    for (const { kind, firstBlock: block } of list.gaps) {
      const partial = kind === 'part' ? this.partialBlocks.get(block) : undefined;
      // Segments after the last one that arrived may belong to a later burst and still be in flight, unless a
      // later block has begun to arrive. For a block that is sent again, this means nothing: the later block
      // arrived first.
      if (partial !== undefined && isCovered(partial.path, partial.burst)) {
        const { highest } = at(this.passes, partial.path);
        this.lossesNoticed += partial.noteLoss(!partial.isResent && block < highest);
      }
    }
    return list;
  }

  /** Drops all partial blocks. */
  close(): void {
    for (const block of [...this.partialBlocks.keys()]) this.drop(block);
  }

  private open(
    nowMs: TimeMs,
    block: number,
    generation: number,
    path: number,
  ): PartialBlock | undefined {
    const { budget, geometry } = this;
    this.drop(block);
    if (budget.isExhausted) this.dropStale(nowMs);
    // One block is accepted even if the budget is exhausted. Otherwise, the session might never make
    // progress.
    const isIdle = this.partialBlocks.size === 0 && this.unwrittenBytes === 0;
    if (budget.isExhausted && !isIdle) return undefined;
    const { highest } = this.trackPass(block, path);
    const sealedBytes = sizeOfBlock(geometry, block) + tagSizeBytes;
    const segmentCount = segmentCountOfBlock(geometry, block);
    const wasLost = !this.notLost.delete(block);
    const isResent = !wasLost && block < highest;
    const buffer = this.takeBuffer(sealedBytes);
    const partial = new PartialBlock(generation, buffer, segmentCount, isResent);
    if (wasLost && block < highest) this.lossesNoticed += partial.noteLoss(true);
    this.partialBlocks.set(block, partial);
    budget.usedBytes += sealedBytes;
    return partial;
  }

  private trackPass(block: number, path: number): { readonly highest: number } {
    const pass = at(this.passes, path);
    if (block < pass.first) {
      pass.first = block;
      pass.highest = block;
    }
    pass.highest = Math.max(pass.highest, block);
    return pass;
  }

  private noteNotLost(block: number): void {
    if (this.notLost.size >= mostNotLost) this.notLost.clear();
    this.notLost.add(block);
  }

  private complete(block: number, { generation, sealed }: PartialBlock, newCount: number): Taken {
    const content = this.seal.open(block, generation, sealed);
    this.drop(block);
    if (content === undefined) {
      // Without tags, nothing shows which datagram was forged; with tags, each one can be checked by itself.
      this.forgedBlocks++;
      if (this.forgedBlocks >= forgedBlocksBeforeTags) this.wantsTags = true;
      this.noteNotLost(block);
      return { newCount, fault: 'forged-data', faultCount: 1 };
    }
    this.missing.remove(block, block + 1);
    return { newCount, content };
  }

  /**
   * Counts a change of generation in a partial block. Either the sender has restarted the block, or an
   * attacker tries to make this receiver drop the block again and again.
   */
  private noteClash(): void {
    this.clashes++;
    if (this.clashes >= clashesBeforeTags) this.wantsTags = true;
  }

  /** Drops stale partial blocks. The sender later sends such blocks again as a whole. */
  private dropStale(nowMs: TimeMs): void {
    for (const [block, { takenAtMs }] of this.partialBlocks) {
      if (nowMs < takenAtMs + this.staleMs) continue;
      this.drop(block);
      this.noteNotLost(block);
    }
  }

  private drop(block: number): void {
    const partial = this.partialBlocks.get(block);
    if (partial === undefined) return;
    this.partialBlocks.delete(block);
    this.budget.usedBytes -= partial.sealed.length;
    if (this.spare.length < maxSpareBuffers) this.spare.push(partial.sealed.buffer);
  }

  /** Reuses a buffer if possible. New buffers for every block would cause most of the garbage collection. */
  private takeBuffer(sizeBytes: number): Uint8Array {
    const spare = this.spare.pop();
    const isLargeEnough = spare !== undefined && spare.byteLength >= sizeBytes;
    return isLargeEnough ? new Uint8Array(spare, 0, sizeBytes) : new Uint8Array(sizeBytes);
  }
}
