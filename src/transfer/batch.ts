/**
 * Encodes the segments of a block as consecutive datagrams, in memory that is reused for later blocks. A
 * batch consists of datagrams that are sent to one destination together.
 */
import type { Address } from '../base/address.js';
import { assert } from '../base/assert.js';
import type { Transmit } from '../base/machine.js';
import { writeUint16 } from '../base/network-order.js';
import type { SegmentSet } from '../base/segment-set.js';
import type { SessionGeometry } from '../object/geometry.js';
import { segmentCountOfBlock, sizeOfBlock } from '../object/geometry.js';
import type { BlockSeal } from '../security/block-seal.js';
import {
  dataFlag,
  flagsOfPath,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
  writeBlockHeader,
} from '../wire/header.js';
import { tagSizeBytes } from '../wire/sizes.js';
import type { SessionBlock } from './sealed-block.js';

/** Where a batch goes, and by which path. */
export interface Destination {
  readonly address: Address;
  /** The number of the path. */
  readonly number: number;
}

export class BatchEncoder {
  /** Whether each datagram carries an authentication tag. Set once forged data has been detected. */
  usesTags = false;
  private lastBurst = 0;
  private readonly spare: Uint8Array[] = [];
  private readonly stepBytes: number;

  constructor(
    private readonly session: number,
    private readonly geometry: SessionGeometry,
    private readonly seal: BlockSeal,
  ) {
    this.stepBytes = geometry.mssBytes + sessionHeaderSizeBytes;
  }

  /** Size of a datagram without its segment: the header, and the tag if there is one. */
  get framingSizeBytes(): number {
    return sessionHeaderSizeBytes + (this.usesTags ? tagSizeBytes : 0);
  }

  /** Seals a block and lays out its datagrams. */
  load(block: SessionBlock, bytes: Uint8Array): void {
    const { session, geometry, stepBytes } = this;
    const { mssBytes } = geometry;
    const { index, generation } = block;
    const sealed = this.seal.seal(index, generation, bytes);
    block.wire ??= this.takeMemory();
    // The I/O layer may still send earlier batches that are views into this memory. They must not carry a
    // burst number newer than the last one used.
    const burst = this.lastBurst;
    const fields = { session, generation, block: index, segment: 0, flags: 0, burst };
    for (let offset = 0, from = 0; from < sealed.length; from += mssBytes, offset += stepBytes) {
      writeBlockHeader(block.wire, offset, false, fields);
      block.wire.set(sealed.subarray(from, from + mssBytes), offset + sessionHeaderSizeBytes);
      fields.segment++;
    }
  }

  /** Copies a block's datagrams from another rate group, which sends the same block. */
  copy(from: SessionBlock, to: SessionBlock): void {
    to.wire ??= this.takeMemory();
    to.wire.set(wireOf(from));
  }

  /** Releases the memory of a finished block. */
  unload(block: SessionBlock): void {
    if (block.wire !== undefined) this.spare.push(block.wire);
    block.wire = undefined;
  }

  /**
   * Encodes a batch. If the batch is a whole block without tags, it is a view into the block's memory, not a
   * copy. That memory may be reused once every receiver has the block. If the I/O layer sends the batch only
   * after that, it sends datagrams of a later block, which is harmless.
   */
  encode(
    { address: to, number: path }: Destination,
    block: SessionBlock,
    segments: SegmentSet,
    burst: number,
  ): Transmit {
    this.lastBurst = burst;
    const segmentCount = segmentCountOfBlock(this.geometry, block.index);
    const isWhole = segments.size === segmentCount;
    if (this.usesTags || !isWhole) return this.gather(to, path, block, segments, burst);
    const bytes = wireOf(block).subarray(0, this.endOf(block.index, segmentCount - 1));
    for (let segment = 0; segment < segmentCount; segment++) {
      stamp(bytes, segment * this.stepBytes, burst, path, segment + 1 === segmentCount);
    }
    return { to, bytes, datagramSizeBytes: this.stepBytes };
  }

  /** Copies the selected datagrams of the block, and adds tags if tags are in use. */
  private gather(
    to: Address,
    path: number,
    block: SessionBlock,
    segments: SegmentSet,
    burst: number,
  ): Transmit {
    const { usesTags, stepBytes } = this;
    const wire = wireOf(block);
    const tagBytes = usesTags ? tagSizeBytes : 0;
    const { size, last } = segments;
    const lastBytes = this.endOf(block.index, last) - last * stepBytes;
    const bytes = new Uint8Array((size - 1) * (stepBytes + tagBytes) + lastBytes + tagBytes);
    let offset = 0;
    for (let segment = 0; segment <= last; segment++) {
      if (!segments.has(segment)) continue;
      const from = segment * stepBytes;
      const datagram = wire.subarray(from, this.endOf(block.index, segment));
      bytes.set(datagram, offset);
      stamp(bytes, offset, burst, path, segment === last);
      offset += datagram.length;
      if (usesTags) offset += this.addTag(bytes, offset - datagram.length, offset);
    }
    return { to, bytes, datagramSizeBytes: stepBytes + tagBytes };
  }

  private takeMemory(): Uint8Array {
    return this.spare.pop() ?? new Uint8Array(this.stepBytes * this.geometry.segmentsPerBlock);
  }

  /** @returns the size of the tag */
  private addTag(bytes: Uint8Array, offset: number, end: number): number {
    bytes[offset + sessionField.kind] = sessionKind.taggedData;
    const bodyOffset = offset + sessionHeaderSizeBytes;
    const header = bytes.subarray(offset, bodyOffset);
    const tag = this.seal.tag(header, bytes.subarray(bodyOffset, end));
    bytes.set(tag, end);
    return tag.length;
  }

  /** Offset in the block's memory at which the datagram of a segment ends. */
  private endOf(block: number, segment: number): number {
    const { mssBytes } = this.geometry;
    const sealedBytes = sizeOfBlock(this.geometry, block) + tagSizeBytes;
    const headersBytes = (segment + 1) * sessionHeaderSizeBytes;
    return headersBytes + Math.min((segment + 1) * mssBytes, sealedBytes);
  }
}

function wireOf({ wire }: SessionBlock): Uint8Array {
  assert(wire !== undefined, 'a block that is sent is loaded');
  return wire;
}

/** Writes the header fields that change with each transmission: the flags and the burst number. */
function stamp(
  bytes: Uint8Array,
  offset: number,
  burst: number,
  path: number,
  isEnd: boolean,
): void {
  bytes[offset + sessionField.flags] = flagsOfPath(path) | (isEnd ? dataFlag.endOfBurst : 0);
  writeUint16(bytes, offset + sessionField.burst, burst);
}
