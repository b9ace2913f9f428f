/**
 * A batch of datagrams that were received together and carry segments of the same block and burst. The
 * datagrams are parsed in place, without a copy or an allocation for each one.
 */
import { readUint16, readUint32 } from '../base/network-order.js';
import type { SessionGeometry } from '../object/geometry.js';
import { segmentCountOfBlock, sizeOfBlock } from '../object/geometry.js';
import {
  isBlockDatagram,
  pathOfFlags,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
} from '../wire/header.js';
import { tagSizeBytes } from '../wire/sizes.js';

export class SegmentBatch {
  block = 0;
  generation = 0;
  burst = 0;
  /** The number of the path by which the batch was sent. */
  path = 0;
  isTagged = false;
  /** The flags of all datagrams in the batch, combined by OR. */
  flags = 0;
  count = 0;
  /** The offset where the batch ends. */
  end = 0;
  private bytes: Uint8Array = nothing;
  private start = 0;
  private stepBytes = 0;

  /**
   * Reads the batch that begins at `start`. A data datagram must begin at that offset.
   * @returns false if the block number, segment number or size does not fit this session; the batch then
   *   consists of all remaining bytes
   */
  read(geometry: SessionGeometry, bytes: Uint8Array, start: number): boolean {
    this.bytes = bytes;
    this.start = start;
    this.block = readUint32(bytes, start + sessionField.block);
    this.generation = bytes[start + sessionField.detail] as number;
    this.burst = readUint16(bytes, start + sessionField.burst);
    this.path = pathOfFlags(bytes[start + sessionField.flags] as number);
    this.isTagged = bytes[start + sessionField.kind] === sessionKind.taggedData;
    this.flags = 0;
    this.count = 0;
    this.end = start;
    if (this.block < geometry.blockCount) this.measure(geometry);
    if (this.count > 0) return true;
    this.count = 1;
    this.end = bytes.length;
    return false;
  }

  /** The segment number of a datagram. */
  segment(place: number): number {
    return this.bytes[this.start + place * this.stepBytes + sessionField.segment] as number;
  }

  header(place: number): Uint8Array {
    const from = this.start + place * this.stepBytes;
    return this.bytes.subarray(from, from + sessionHeaderSizeBytes);
  }

  body(place: number): Uint8Array {
    const from = this.start + place * this.stepBytes;
    return this.bytes.subarray(from + sessionHeaderSizeBytes, this.endOf(place) - this.tagBytes);
  }

  /** The tag of a datagram; empty if the datagrams carry no tags. */
  tag(place: number): Uint8Array {
    const end = this.endOf(place);
    return this.bytes.subarray(end - this.tagBytes, end);
  }

  /** A whole datagram of the batch; if `read` returned false, all remaining bytes. */
  datagram(place: number): Uint8Array {
    return this.bytes.subarray(this.start + place * this.stepBytes, this.endOf(place));
  }

  /**
   * Finds the end of the batch. Only the last segment of a block may be shorter than the MSS, and such a
   * segment ends the batch.
   */
  private measure(geometry: SessionGeometry): void {
    const { bytes, start, block } = this;
    const { mssBytes } = geometry;
    const framingBytes = sessionHeaderSizeBytes + this.tagBytes;
    const sealedBytes = sizeOfBlock(geometry, block) + tagSizeBytes;
    const segmentCount = segmentCountOfBlock(geometry, block);
    this.stepBytes = framingBytes + mssBytes;
    let next = start;
    do {
      const segment = bytes[next + sessionField.segment] as number;
      if (segment >= segmentCount) return;
      const bodyBytes = Math.min(mssBytes, sealedBytes - segment * mssBytes);
      if (next + framingBytes + bodyBytes > bytes.length) return;
      this.flags |= bytes[next + sessionField.flags] as number;
      this.count++;
      next += framingBytes + bodyBytes;
      this.end = next;
      if (bodyBytes < mssBytes) return;
    } while (this.isContinuedAt(next));
  }

  /**
   * Whether the batch continues with a datagram at this offset. The header of that datagram may differ from
   * the first header only in segment number and flags, but not in the path. A tagged datagram forms a batch by itself, because
   * each tag must be checked separately.
   */
  private isContinuedAt(offset: number): boolean {
    const { bytes, start } = this;
    if (this.isTagged || !isBlockDatagram(bytes, offset)) return false;
    for (let i = 0; i < sessionField.segment; i++) {
      if (bytes[offset + i] !== bytes[start + i]) return false;
    }
    const path = pathOfFlags(bytes[offset + sessionField.flags] as number);
    return path === this.path && readUint16(bytes, offset + sessionField.burst) === this.burst;
  }

  private endOf(place: number): number {
    return place === this.count - 1 ? this.end : this.start + (place + 1) * this.stepBytes;
  }

  private get tagBytes(): number {
    return this.isTagged ? tagSizeBytes : 0;
  }
}

const nothing = new Uint8Array(0);
