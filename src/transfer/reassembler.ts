/** Puts blocks together from segments, and opens them; knows what is lacking (SESSIONS 5). */

import type { TimeMs } from '../base/machine.js';
import { RangeSet } from '../base/range-set.js';
import type { SessionGeometry } from '../object/geometry.js';
import { segmentCountOfBlock, sizeOfBlock } from '../object/geometry.js';
import type { BlockSeal } from '../security/block-seal.js';
import type { FaultKind } from '../wire/faults.js';
import { tagSizeBytes } from '../wire/sizes.js';
import type { GapList } from './gap-list.js';
import { listGaps } from './gap-list.js';
import type { MemoryBudget } from './partial-block.js';
import { PartialBlock } from './partial-block.js';
import type { SegmentBatch } from './segment-batch.js';

/** Forged blocks after which each datagram must bear a tag. */
const forgedBlocksBeforeTags = 1;

/** The same for blocks that were begun anew by another generation. */
const clashesBeforeTags = 8;

/** What became of a run. */
export interface Taken {
  /** How many of its datagrams brought something new. */
  readonly newCount: number;
  /** The block's, where the run completes it. */
  readonly content?: Uint8Array;
  /** What is wrong with some of its datagrams, and with how many. */
  readonly fault?: FaultKind;
  readonly faultCount?: number;
}

/** Blocks remembered that come again though nothing was lost; beyond them the count of lost ones is too high. */
const mostNotLost = 65_536;

/** Buffers kept for the next blocks. */
const maxSpareBuffers = 16;

export class Reassembler {
  /** Blocks that are wanted and not complete. */
  missing = new RangeSet();
  /** Whether each datagram must bear a tag: a block was forged. */
  wantsTags = false;
  datagramsReceived = 0;
  duplicates = 0;
  /** Content of blocks that were completed. */
  receivedBytes = 0;
  segmentsLost = 0;
  /** Content that was handed on and is not where it belongs yet. */
  unwrittenBytes = 0;
  private readonly partialBlocks = new Map<number, PartialBlock>();
  private readonly spare: ArrayBufferLike[] = [];
  private forgedBlocks = 0;
  private clashes = 0;
  /**
   * In one pass blocks go out in order, so one that comes behind a later one was lost as a whole. One before
   * the first that came of a pass begins another pass: it was not sent here before.
   */
  private firstBlock = Infinity;
  private highestBlock = -1;
  /** Blocks that came and had no room, or proved bad: when they come again, nothing was lost. */
  private readonly notLost = new Set<number>();

  constructor(
    private readonly geometry: SessionGeometry,
    private readonly seal: BlockSeal,
    private readonly budget: MemoryBudget,
    /** A block of which nothing has come for this long makes room for others, if need be. */
    private readonly staleMs: number,
  ) {}

  /** What the blocks hold that are wanted and not complete. */
  get missingBytes(): number {
    const { blockCount, manifestBlockCount, blockSizeBytes } = this.geometry;
    const hasContent = blockCount > manifestBlockCount;
    const isLastMissing = hasContent && this.missing.has(blockCount - 1);
    const shortBytes = isLastMissing
      ? blockSizeBytes - sizeOfBlock(this.geometry, blockCount - 1)
      : 0;
    return this.missing.count * blockSizeBytes - shortBytes;
  }

  /** A block that was held, or had come, proved bad. */
  markMissing(block: number): void {
    this.missing.add(block, block + 1);
    this.noteNotLost(block);
  }

  /** Takes what is new of a run. */
  take(nowMs: TimeMs, batch: SegmentBatch): Taken {
    const { block, generation, count } = batch;
    this.datagramsReceived += count;
    if (!this.missing.has(block)) {
      this.duplicates += count;
      return { newCount: 0, fault: 'duplicate', faultCount: count };
    }
    let partial = this.partialBlocks.get(block);
    if (partial === undefined || partial.generation !== generation) {
      if (partial !== undefined) this.noteClash();
      partial = this.open(nowMs, block, generation);
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

  /** Whether the sender made it, as far as that can be told before the block opens. */
  isOfSession(batch: SegmentBatch): boolean {
    if (!batch.isTagged) return !this.wantsTags;
    return this.seal.hasTag(batch.header(0), batch.body(0), batch.tag(0));
  }

  /**
   * What is lacking from `firstBlock` to below `endBlock`, as far as a report holds it.
   * @param isThrough whether all of a burst has come or is lost: what comes then is a repair
   */
  list(firstBlock: number, endBlock: number, isCovered: (burst: number) => boolean): GapList {
    const list = listGaps(this.missing, this.partialBlocks, firstBlock, endBlock);
    for (const { kind, firstBlock: block } of list.gaps) {
      const partial = kind === 'part' ? this.partialBlocks.get(block) : undefined;
      // Of a block that goes out in several bursts, the rest may be on its way.
      if (partial !== undefined && isCovered(partial.burst)) {
        partial.noteLoss(block < this.highestBlock);
      }
    }
    return list;
  }

  /** What is incomplete is let go of. */
  close(): void {
    for (const block of [...this.partialBlocks.keys()]) this.drop(block);
  }

  private open(nowMs: TimeMs, block: number, generation: number): PartialBlock | undefined {
    const { budget, geometry } = this;
    this.drop(block);
    if (budget.isExhausted) this.dropStale(nowMs);
    // One block at a time there is always room for, or nothing would ever move.
    const isIdle = this.partialBlocks.size === 0 && this.unwrittenBytes === 0;
    if (budget.isExhausted && !isIdle) return undefined;
    this.trackPass(block);
    const sealedBytes = sizeOfBlock(geometry, block) + tagSizeBytes;
    const segmentCount = segmentCountOfBlock(geometry, block);
    const partial = new PartialBlock(generation, this.takeBuffer(sealedBytes), segmentCount);
    if (block < this.highestBlock && !this.notLost.delete(block)) partial.noteLoss(true);
    this.partialBlocks.set(block, partial);
    budget.usedBytes += sealedBytes;
    return partial;
  }

  private trackPass(block: number): void {
    if (block < this.firstBlock) {
      this.firstBlock = block;
      this.highestBlock = block;
    }
    this.highestBlock = Math.max(this.highestBlock, block);
  }

  private noteNotLost(block: number): void {
    if (this.notLost.size >= mostNotLost) this.notLost.clear();
    this.notLost.add(block);
  }

  private complete(block: number, { generation, sealed }: PartialBlock, newCount: number): Taken {
    const content = this.seal.open(block, generation, sealed);
    this.drop(block);
    if (content === undefined) {
      // Which of its datagrams was forged cannot be told; from now on each shows it.
      this.forgedBlocks++;
      if (this.forgedBlocks >= forgedBlocksBeforeTags) this.wantsTags = true;
      this.noteNotLost(block);
      return { newCount, fault: 'forged-data', faultCount: 1 };
    }
    this.missing.remove(block, block + 1);
    return { newCount, content };
  }

  /**
   * A block that is half there is sent by another generation: the sender has come back to it, or somebody
   * wants it dropped, again and again.
   */
  private noteClash(): void {
    this.clashes++;
    if (this.clashes >= clashesBeforeTags) this.wantsTags = true;
  }

  /** The sender turned to others meanwhile; when it comes back to this block, it sends all of it. */
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

  /** Buffers are used again: new ones for each block would be most of what a host has to clear away. */
  private takeBuffer(sizeBytes: number): Uint8Array {
    const spare = this.spare.pop();
    const isLargeEnough = spare !== undefined && spare.byteLength >= sizeBytes;
    return isLargeEnough ? new Uint8Array(spare, 0, sizeBytes) : new Uint8Array(sizeBytes);
  }
}
