/**
 * The lists that a receiver announces before it receives content: the blocks that it keeps, and the entries that it
 * would delete (SESSIONS 4.6). A list is sent in parts, each in one datagram.
 */
import type { Range } from '../base/range-set.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { isLongerUtf8 } from './byte-codec.js';

/** Part of the list of blocks that the receiver keeps as they are: it neither needs nor verifies them. */
export interface Kept {
  readonly kind: 'kept';
  /** The number of this part; `kept` and `extras` messages are numbered together. */
  readonly part: number;
  /** Ranges of blocks, numbered within the content. */
  readonly ranges: readonly Range[];
}

/** An entry that a receiver has in a folder of the object, although the sender does not send it. */
export interface Extra {
  /** The name that the entry would have in the object. */
  readonly name: string;
  readonly isFolder: boolean;
}

/** Part of the list of entries that the receiver would delete. */
export interface Extras {
  readonly kind: 'extras';
  readonly part: number;
  readonly extras: readonly Extra[];
}

/** Why an entry was not deleted: it changed after it was listed, the system denied it, or the system failed. */
export type UndeletedCause = 'changed' | 'denied' | 'failed';
const undeletedCauses: readonly UndeletedCause[] = ['failed', 'changed', 'denied'];

/** An entry that the receiver should have deleted, and did not. */
export interface Undeleted {
  /** The name that the entry would have in the object. */
  readonly name: string;
  readonly cause: UndeletedCause;
}

/** Confirms that the sender has received a part of the receiver's lists. */
export interface Noted {
  readonly kind: 'noted';
  readonly part: number;
  /** Indexes, within this part, of the entries that must not be deleted. */
  readonly spared: readonly number[];
}

/** Maximum number of ranges in one part. They take at most 1,100 bytes. */
export const maxRangesPerPart = 128;

/** Maximum number of names in one part, and their maximum total size. Longer names are never listed. */
export const maxNamesPerPart = 64;
export const maxNameBytesPerPart = 1000;

/** Maximum number of undeleted entries that one message names, and the maximum total size of these names. */
export const maxUndeletedPerMessage = 16;
export const maxUndeletedNameBytes = 350;

const extraKind = { file: 0, folder: 1 } as const;

export function writeParts(writer: ByteWriter, message: Kept | Extras | Noted): void {
  writer.varint(message.part);
  if (message.kind === 'kept') {
    let from = 0;
    for (const { start, end } of message.ranges) {
      writer.varint(start - from).varint(end - start);
      from = end;
    }
  } else if (message.kind === 'extras') {
    for (const { name, isFolder } of message.extras) {
      writer.uint8(isFolder ? extraKind.folder : extraKind.file).text(name);
    }
  } else {
    for (const place of message.spared) writer.uint8(place);
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

export function readExtras(reader: ByteReader): Extras | undefined {
  const part = reader.varint();
  const extras: Extra[] = [];
  while (reader.remainingBytes > 0 && reader.isGood) {
    const isFolder = reader.uint8() === extraKind.folder;
    if (extras.length === maxNamesPerPart) return undefined;
    extras.push({ name: reader.text(), isFolder });
  }
  return { kind: 'extras', part, extras };
}

/** Writes as many of the entries as fit. It must be the last part of its message. */
export function writeUndeleted(writer: ByteWriter, undeleted: readonly Undeleted[]): void {
  let leftBytes = maxUndeletedNameBytes;
  for (const { name, cause } of undeleted.slice(0, maxUndeletedPerMessage)) {
    if (isLongerUtf8(name, leftBytes)) continue;
    // In UTF-8, a name takes at most three bytes for each of its units.
    leftBytes = Math.max(0, leftBytes - 3 * name.length);
    writer.uint8(undeletedCauses.indexOf(cause)).text(name);
  }
}

export function readUndeleted(reader: ByteReader): Undeleted[] {
  const undeleted: Undeleted[] = [];
  while (reader.remainingBytes > 0 && undeleted.length < maxUndeletedPerMessage) {
    const cause = undeletedCauses[reader.uint8()] ?? 'failed';
    undeleted.push({ name: reader.text(), cause });
  }
  return undeleted;
}

export function readSpared(reader: ByteReader): number[] {
  const spared: number[] = [];
  while (reader.remainingBytes > 0 && spared.length < maxNamesPerPart) spared.push(reader.uint8());
  return spared;
}
