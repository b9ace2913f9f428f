/** Reassembles blocks from segments, decrypts them, and keeps track of the blocks that are missing (SESSIONS 5). */

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

/** After this many forged blocks, each datagram must carry a tag. */
const forgedBlocksBeforeTags = 1;

/** Each datagram must also carry a tag after this many partial blocks arrived with another generation. */
const clashesBeforeTags = 8;

/** The result of a segment batch. */
export interface Taken {
  /** How many of its datagrams were new. */
  readonly newCount: number;
  /** The block's content, if the batch completed it. */
  readonly content?: Uint8Array;
  /** The fault of some of its datagrams, and their number. */
  readonly fault?: FaultKind;
  readonly faultCount?: number;
}

/** The most blocks that are remembered as dropped but not lost. If there are more, the loss count is too high. */
const mostNotLost = 65_536;

/** The most buffers that are kept for later blocks. */
const maxSpareBuffers = 16;

export class Reassembler {
  /** The blocks that are needed and not yet complete. */
  missing = new RangeSet();
  /** Whether each datagram must carry a tag, because a block was forged. */
  wantsTags = false;
  datagramsReceived = 0;
  duplicates = 0;
  /** Content bytes of completed blocks. */
  receivedBytes = 0;
  segmentsLost = 0;
  /** Content bytes handed to the shell and not yet written. */
  unwrittenBytes = 0;
  private readonly partialBlocks = new Map<number, PartialBlock>();
  private readonly spare: ArrayBufferLike[] = [];
  private forgedBlocks = 0;
  private clashes = 0;
  /**
   * The range of the current pass. Within a pass, blocks are sent in order. A block of which nothing arrived before a
   * later block was therefore lost as a whole. A block before the first one of the pass begins a new pass and was not
   * lost.
   */
  private firstBlock = Infinity;
  private highestBlock = -1;
  /** Blocks that were damaged, or dropped to free memory. They are sent again, although no datagram was lost. */
  private readonly notLost = new Set<number>();

  constructor(
    private readonly geometry: SessionGeometry,
    private readonly seal: BlockSeal,
    private readonly budget: MemoryBudget,
    /** A partial block without new segments for this long may be dropped to make room. */
    private readonly staleMs: number,
  ) {}

  /** The size of the blocks that are needed and not complete. */
  get missingBytes(): number {
    const { blockCount, manifestBlockCount, blockSizeBytes } = this.geometry;
    const hasContent = blockCount > manifestBlockCount;
    const isLastMissing = hasContent && this.missing.has(blockCount - 1);
    const shortBytes = isLastMissing
      ? blockSizeBytes - sizeOfBlock(this.geometry, blockCount - 1)
      : 0;
    return this.missing.count * blockSizeBytes - shortBytes;
  }

  /** A block that had arrived, or was held from the start, turned out to be damaged. */
  markMissing(block: number): void {
    this.missing.add(block, block + 1);
    this.noteNotLost(block);
  }

  /** Takes the new segments of a batch. */
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

  /** Whether the batch may be authentic. Without a tag, only decrypting the block can show it. */
  isOfSession(batch: SegmentBatch): boolean {
    if (!batch.isTagged) return !this.wantsTags;
    return this.seal.hasTag(batch.header(0), batch.body(0), batch.tag(0));
  }

  /**
   * Lists the gaps from `firstBlock` up to, not including, `endBlock`, but no more than a report can hold.
   * @param isCovered whether all datagrams up to a burst have arrived or are lost, so that later ones are repairs
   */
  list(firstBlock: number, endBlock: number, isCovered: (burst: number) => boolean): GapList {
    const list = listGaps(this.missing, this.partialBlocks, firstBlock, endBlock);
    for (const { kind, firstBlock: block } of list.gaps) {
      const partial = kind === 'part' ? this.partialBlocks.get(block) : undefined;
      // A block may be sent in several bursts, so the rest of it may still be in flight.
      if (partial !== undefined && isCovered(partial.burst)) {
        partial.noteLoss(block < this.highestBlock);
      }
    }
    return list;
  }

  /** Drops all partial blocks. */
  close(): void {
    for (const block of [...this.partialBlocks.keys()]) this.drop(block);
  }

  private open(nowMs: TimeMs, block: number, generation: number): PartialBlock | undefined {
    const { budget, geometry } = this;
    this.drop(block);
    if (budget.isExhausted) this.dropStale(nowMs);
    // One block always has room, because the session would otherwise never make progress.
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
      // Nothing shows which datagram was forged. With tags, each datagram can be checked by itself.
      this.forgedBlocks++;
      if (this.forgedBlocks >= forgedBlocksBeforeTags) this.wantsTags = true;
      this.noteNotLost(block);
      return { newCount, fault: 'forged-data', faultCount: 1 };
    }
    this.missing.remove(block, block + 1);
    return { newCount, content };
  }

  /**
   * A partial block arrives with another generation. Either the sender restarted the block, or an attacker wants this
   * receiver to drop it again and again.
   */
  private noteClash(): void {
    this.clashes++;
    if (this.clashes >= clashesBeforeTags) this.wantsTags = true;
  }

  /** Drops stale partial blocks. When the sender returns to such a block, it sends all of it. */
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

  /** Reuses buffers, because new ones for each block would be most of the garbage that the host collects. */
  private takeBuffer(sizeBytes: number): Uint8Array {
    const spare = this.spare.pop();
    const isLargeEnough = spare !== undefined && spare.byteLength >= sizeBytes;
    return isLargeEnough ? new Uint8Array(spare, 0, sizeBytes) : new Uint8Array(sizeBytes);
  }
}
