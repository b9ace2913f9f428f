/** The message with the outcome of a receiver (SESSIONS 4.2). */
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { readLine, shortened } from './lines.js';
import type { Undeleted } from './lists.js';
import { readUndeleted, writeUndeleted } from './lists.js';

/** The receiver's outcome. */
export interface Done {
  readonly kind: 'done';
  readonly isComplete: boolean;
  /** The final counts, as in a report. */
  readonly segmentsReceived: number;
  readonly segmentsLost: number;
  readonly receivedBytes: number;
  /** Files that were not read, because their size and time were unchanged. */
  readonly unchangedFiles: number;
  /** Entries that were deleted because the sender does not send them; with `list`, that would be deleted. */
  readonly deletedEntries: number;
  /** Entries that should have been deleted, and still exist. */
  readonly undeletedEntries: number;
  /** Why the object is not complete, or a note on a success. */
  readonly reason: string;
  /** The first of the undeleted entries, as far as they fit. */
  readonly undeleted: readonly Undeleted[];
  /** If the object was relayed and is complete: an envelope for its origin. */
  readonly receipt?: Uint8Array;
}

const none = new Uint8Array(0);

export function writeDone(writer: ByteWriter, message: Done): void {
  writer.uint8(message.isComplete ? 1 : 0);
  writer.varint(message.segmentsReceived).varint(message.segmentsLost);
  writer.varint(message.receivedBytes).varint(message.unchangedFiles);
  writer.varint(message.deletedEntries).varint(message.undeletedEntries);
  writer.text(shortened(message.reason)).counted(message.receipt ?? none);
  writeUndeleted(writer, message.undeleted);
}

export function readDone(reader: ByteReader): Done {
  const done = {
    kind: 'done' as const,
    isComplete: reader.uint8() === 1,
    segmentsReceived: reader.varint(),
    segmentsLost: reader.varint(),
    receivedBytes: reader.varint(),
    unchangedFiles: reader.varint(),
    deletedEntries: reader.varint(),
    undeletedEntries: reader.varint(),
    reason: readLine(reader),
  };
  const receipt = reader.counted().slice();
  const undeleted = readUndeleted(reader);
  return { ...done, undeleted, ...(receipt.length === 0 ? {} : { receipt }) };
}
