/**
 * The list of blocks that a receiver keeps, which it announces before it receives content (SESSIONS 4.6). The list is
 * sent in parts, each in one datagram.
 */
import type { Range } from '../base/range-set.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';

/** Part of the list of blocks that the receiver keeps as they are: it neither needs nor verifies them. */
export interface Kept {
  readonly kind: 'kept';
  /** The number of this part, from 0. */
  readonly part: number;
  /** Ranges of blocks, numbered within the content. */
  readonly ranges: readonly Range[];
}

/** The sender has noted a part of the receiver's list. */
export interface Noted {
  readonly kind: 'noted';
  readonly part: number;
}

/** The most ranges in one part. They take at most 1,100 bytes. */
export const maxRangesPerPart = 128;

export function writeKept(writer: ByteWriter, { part, ranges }: Kept): void {
  writer.varint(part);
  let from = 0;
  for (const { start, end } of ranges) {
    writer.varint(start - from).varint(end - start);
    from = end;
  }
}

export function readKept(reader: ByteReader): Kept | undefined {
  const part = reader.varint();
  const ranges: Range[] = [];
  let from = 0;
  while (reader.remainingBytes > 0 && reader.isGood) {
    const start = from + reader.varint();
    const end = start + reader.varint();
    if (end <= start || !Number.isSafeInteger(end) || ranges.length === maxRangesPerPart) return;
    ranges.push({ start, end });
    from = end;
  }
  return { kind: 'kept', part, ranges };
}
