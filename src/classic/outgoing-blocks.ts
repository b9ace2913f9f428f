/** The sender's blocks of the file. Decides which block is opened next, and counts the delivered blocks. */

import { assert } from '../base/assert.js';
import { encodeData } from '../packet.js';
import type { Block, BlockWindow } from '../transfer/block-window.js';
import type { Peer } from './peer.js';
import type { Geometry } from './segment.js';
import {
  blockOffsetBytes,
  blockSizeBytes,
  firstSegment,
  segmentSizeBytes,
  segmentsInBlock,
} from './segment.js';
import type { SenderEvent } from './sender-events.js';

/** Opens the blocks of a file in order, fills each block with packets, and releases settled blocks. */
export class OutgoingBlocks {
  private nextIndex = 0;
  private deliveredCount = 0;

  constructor(
    private readonly geometry: Geometry,
    private readonly window: BlockWindow,
    private readonly emit: (event: SenderEvent) => void,
  ) {}

  /** Payload bytes of the blocks that every active receiver has acknowledged. */
  get deliveredBytes(): number {
    return blockOffsetBytes(this.geometry, this.deliveredCount);
  }

  /** Opens further blocks until `limit` blocks are in flight, and requests their bytes. */
  openUpTo(limit: number): void {
    const { geometry, window } = this;
    while (this.nextIndex < geometry.blockCount && window.length < limit) {
      const blockIndex = this.nextIndex++;
      window.push(
        blockIndex,
        firstSegment(geometry, blockIndex),
        segmentsInBlock(geometry, blockIndex),
      );
      this.emit({
        type: 'need',
        blockIndex,
        offsetBytes: blockOffsetBytes(geometry, blockIndex),
        sizeBytes: blockSizeBytes(geometry, blockIndex),
      });
    }
  }

  /**
   * Encodes the packets of an opened block. The packets hold copies of the bytes.
   * @returns undefined if the block is no longer in flight
   */
  fill(blockIndex: number, bytes: Uint8Array): Block | undefined {
    const block = this.window.find(blockIndex);
    if (block === undefined) return undefined;
    assert(!block.hasBytes, `block ${blockIndex} was provided twice`);
    assert(bytes.length === blockSizeBytes(this.geometry, blockIndex), 'block of a wrong size');
    let offset = 0;
    for (let i = 0; i < block.segmentCount; i++) {
      const sequence = block.firstSequence + i;
      const size = segmentSizeBytes(this.geometry, sequence);
      block.packets.push(encodeData(sequence, bytes.subarray(offset, offset + size)));
      offset += size;
    }
    return block;
  }

  /** Opens the end marker, a block that follows the last data block (PROTOCOL 5.2). */
  openEndMarker(): Block {
    const { blockCount, segmentCount } = this.geometry;
    const block = this.window.push(blockCount, segmentCount, 1);
    block.packets.push(encodeData(segmentCount, new Uint8Array(0)));
    return block;
  }

  /**
   * Records that a receiver has acknowledged the first `throughSegments` segments. Previously, the receiver
   * had acknowledged only the first `fromSegments` segments.
   */
  acknowledge(peer: Peer, fromSegments: number, throughSegments: number): void {
    const first = Math.floor(fromSegments / this.geometry.segmentsPerBlock);
    for (let index = first; ; index++) {
      const block = this.window.find(index);
      if (block === undefined || block.firstSequence >= throughSegments) break;
      if (block.clearThrough(peer.index, throughSegments - block.firstSequence)) {
        peer.pendingBlocks--;
      }
    }
  }

  /** Stops sending blocks to this receiver. */
  dropReceiver(peer: Peer): void {
    for (const block of this.window) {
      if (block.clearThrough(peer.index, block.segmentCount)) peer.pendingBlocks--;
    }
  }

  /**
   * Releases the oldest blocks, and stops at the first block that some receiver still misses.
   * @param isDelivered whether these blocks count as delivered; false if they hold no data or no receiver is
   *   left
   */
  releaseSettled(isDelivered: boolean): void {
    for (;;) {
      const { oldest } = this.window;
      if (oldest === undefined || !oldest.hasBytes || oldest.pendingCount > 0) break;
      this.window.dropOldest();
      if (isDelivered) this.deliveredCount++;
    }
  }
}
