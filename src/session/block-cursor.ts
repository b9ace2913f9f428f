/**
 * Goes through segments that came together, one behind the other in one piece of memory, and shows
 * each as a packet. Nothing is copied, and nothing is made anew for each.
 */
import { readUint16, readUint32 } from '../network-order.js';
import { tagSizeBytes } from './crypto.js';
import type { BlockPacket } from './session-packet.js';
import { sessionField, sessionHeaderSizeBytes, sessionKind } from './session-packet.js';

export class BlockCursor implements BlockPacket {
  kind: BlockPacket['kind'] = 'data';
  session = 0;
  generation = 0;
  block = 0;
  segment = 0;
  flags = 0;
  burst = 0;
  bodySizeBytes = 0;
  private bytes: Uint8Array = nothing;
  private offset = 0;

  /**
   * Moves to the datagram at this offset, which must be data or tagged data.
   * @param end where the datagram ends: behind its tag, where it has one
   */
  moveTo(bytes: Uint8Array, offset: number, end: number): void {
    this.bytes = bytes;
    this.offset = offset;
    const isTagged = bytes[offset + sessionField.kind] === sessionKind.taggedData;
    this.kind = isTagged ? 'tagged-data' : 'data';
    this.session = readUint32(bytes, offset + sessionField.session);
    this.generation = bytes[offset + sessionField.detail] as number;
    this.block = readUint32(bytes, offset + sessionField.block);
    this.segment = bytes[offset + sessionField.segment] as number;
    this.flags = bytes[offset + sessionField.flags] as number;
    this.burst = readUint16(bytes, offset + sessionField.burst);
    this.bodySizeBytes = end - offset - sessionHeaderSizeBytes - (isTagged ? tagSizeBytes : 0);
  }

  get header(): Uint8Array {
    return this.bytes.subarray(this.offset, this.offset + sessionHeaderSizeBytes);
  }

  get body(): Uint8Array {
    const from = this.offset + sessionHeaderSizeBytes;
    return this.bytes.subarray(from, from + this.bodySizeBytes);
  }

  get tag(): Uint8Array {
    const from = this.offset + sessionHeaderSizeBytes + this.bodySizeBytes;
    return this.bytes.subarray(from, this.kind === 'data' ? from : from + tagSizeBytes);
  }
}

const nothing = new Uint8Array(0);
