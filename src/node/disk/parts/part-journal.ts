/**
 * The journal of a part records which content is durable, and which was written but not synced. It has a header with
 * the name of the part, followed by records of fixed size, each with its own checksum. Content is recorded as held only
 * after it was synced, so every prefix of the journal is true. Content that was written survives the end of the process,
 * but not a power failure, after which it can be anything. An incomplete record at the end is ignored.
 */
import type { FileHandle } from 'node:fs/promises';
import { constants, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import { openFlags, syncFolder, writeAll } from '../fsync.js';
import { hasAny } from '../store/range-queries.js';

/**
 * Increment the number when the layout of the journal or the part changes; older parts are then received
 * again.
 */
const magic = Buffer.from('p2mp part 1\n');
const sizeOffset = magic.length + 32;
const headerSizeBytes = sizeOffset + 8 + 4;
/** Kind, start, end, checksum. */
const recordSizeBytes = 4 + 8 + 8 + 4;
const kinds = { held: 1, forgotten: 2, written: 3 } as const;
type Kind = keyof typeof kinds;

/** Records read at once. */
const chunkRecordCount = 32_768;
/**
 * The journal is rewritten when it has over 2n and a spare number of records; a new journal would have n. Small parts have
 * few to spare, so that the journal stays small beside them.
 */
const maxSpareCount = 100_000;
const leastSpareCount = 1000;
const bytesPerSpare = 30_720;

export interface JournalKey {
  /** 64 hexadecimal digits. */
  readonly partId: string;
  readonly contentSizeBytes: number;
}

/** What a journal records. No byte is in both. */
export interface JournalContent {
  /** The durable ranges. */
  readonly held: RangeSet;
  /** Ranges that were written and not synced. */
  readonly written: RangeSet;
}

/**
 * @param key without a size, the journal can be of content of any size
 * @returns undefined if there is no journal of this object
 */
export async function readJournal(
  path: string,
  { partId, contentSizeBytes }: Pick<JournalKey, 'partId'> & Partial<JournalKey>,
): Promise<JournalContent | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, openFlags.read);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const found = Buffer.alloc(headerSizeBytes);
    await handle.read(found, 0, headerSizeBytes, 0);
    const key = { partId, contentSizeBytes: contentSizeBytes ?? found.readDoubleBE(sizeOffset) };
    const header = encodeHeader(key);
    return found.equals(header) ? await replay(handle, crc32(header), key) : undefined;
  } finally {
    await handle.close();
  }
}

/** Reads records up to the first invalid one. */
async function replay(handle: FileHandle, seed: number, key: JournalKey): Promise<JournalContent> {
  const content = { held: new RangeSet(), written: new RangeSet() };
  const chunk = Buffer.alloc(chunkRecordCount * recordSizeBytes);
  for (let position = headerSizeBytes; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    const whole = bytesRead - (bytesRead % recordSizeBytes);
    if (whole === 0) return content;
    for (let at = 0; at < whole; at += recordSizeBytes) {
      const record = chunk.subarray(at, at + recordSizeBytes);
      if (!applyRecord(content, record, seed, key)) return content;
    }
    position += whole;
  }
}

function applyRecord(
  { held, written }: JournalContent,
  record: Buffer,
  seed: number,
  key: JournalKey,
): boolean {
  const body = record.subarray(0, recordSizeBytes - 4);
  if (record.readUInt32BE(body.length) !== crc32(body, seed)) return false;
  const kind = record.readUInt32BE(0);
  const [start, end] = [record.readDoubleBE(4), record.readDoubleBE(12)];
  const isWhole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (!isWhole || !(start >= 0 && start < end && end <= key.contentSizeBytes)) return false;
  switch (kind) {
    case kinds.held:
      held.add(start, end);
      written.remove(start, end);
      return true;
    case kinds.written:
      for (const gap of held.gaps(start, end)) written.add(gap.start, gap.end);
      return true;
    case kinds.forgotten:
      held.remove(start, end);
      written.remove(start, end);
      return true;
    default:
      return false;
  }
}

/** How long a written range may wait for its record. A kill loses what is not recorded. */
const noteDelayMs = 20;

export class PartJournal {
  /**
   * Set during an append and after a failed append. The next append first truncates the file to its last
   * complete record.
   */
  private isTorn = false;
  /** Appends, one after another. */
  private queue: Promise<void> = Promise.resolve();
  /** Written ranges that are not recorded yet. */
  private fresh: Range[] = [];
  private noteTimer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly path: string,
    private readonly key: JournalKey,
    /** What it records, including an append in progress. */
    private readonly content: JournalContent,
    private handle: FileHandle,
    private recordCount: number,
  ) {}

  /** Creates a journal with this content, replacing any existing one. */
  static async create(
    path: string,
    key: JournalKey,
    held: RangeSet,
    written = new RangeSet(),
  ): Promise<PartJournal> {
    const content = { held, written };
    const records = encodeContent(content, key);
    const handle = await writeJournal(path, key, records);
    return new PartJournal(path, key, content, handle, records.length / recordSizeBytes);
  }

  /** The durable ranges. */
  get held(): RangeSet {
    return this.content.held;
  }

  /** Records ranges that are durable. */
  async add(ranges: readonly Range[]): Promise<void> {
    this.recordWritten();
    const { held, written } = this.content;
    for (const { start, end } of ranges) {
      held.add(start, end);
      written.remove(start, end);
    }
    await this.enqueue(() => this.append('held', ranges));
  }

  /**
   * Records a range that was written, but not synced, within `noteDelayMs`, in one append with others. If that fails, the
   * range is received again after a kill.
   */
  noteWritten({ start, end }: Range): void {
    const { held, written } = this.content;
    for (const gap of held.gaps(start, end)) {
      written.add(gap.start, gap.end);
      this.fresh.push(gap);
    }
    this.noteTimer ??= setTimeout(() => this.recordWritten(), noteDelayMs);
  }

  /** Begins to record what was written. Records that follow come after it. */
  private recordWritten(): void {
    clearTimeout(this.noteTimer);
    this.noteTimer = undefined;
    if (this.fresh.length === 0) return;
    const ranges = this.fresh;
    this.fresh = [];
    this.enqueue(() => this.append('written', ranges)).catch(() => undefined);
  }

  /** Records that the content of a range is no longer known. Call this before the range is overwritten. */
  async forget({ start, end }: Range): Promise<void> {
    const { held, written } = this.content;
    if (![held, written].some((ranges) => hasAny(ranges, { start, end }))) return;
    // A record of the range as written must not follow.
    this.recordWritten();
    held.remove(start, end);
    written.remove(start, end);
    await this.enqueue(() => this.append('forgotten', [{ start, end }]));
  }

  async close(): Promise<void> {
    this.recordWritten();
    await this.queue;
    await this.handle.close();
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  private async append(kind: Kind, ranges: readonly Range[]): Promise<void> {
    const { held, written } = this.content;
    const usefulCount = held.rangeCount + written.rangeCount;
    if (this.recordCount > 2 * usefulCount + this.spareCount) return this.shrink();
    const position = headerSizeBytes + this.recordCount * recordSizeBytes;
    if (this.isTorn) await this.handle.truncate(position);
    this.isTorn = true;
    const bytes = encodeRecords(kind, ranges, crc32(encodeHeader(this.key)));
    await writeAll(this.handle, bytes, position);
    if (kind !== 'written') await this.handle.datasync();
    this.isTorn = false;
    this.recordCount += ranges.length;
  }

  private get spareCount(): number {
    return Math.min(leastSpareCount + this.key.contentSizeBytes / bytesPerSpare, maxSpareCount);
  }

  private async shrink(): Promise<void> {
    const { handle, path, key } = this;
    // More can be written in the meantime.
    const records = encodeContent(this.content, key);
    this.handle = await writeJournal(path, key, records);
    this.recordCount = records.length / recordSizeBytes;
    this.isTorn = false;
    await handle.close();
  }
}

/** Writes a new file and renames it, so the old journal stays until the new one is complete. */
async function writeJournal(path: string, key: JournalKey, records: Buffer): Promise<FileHandle> {
  const newPath = `${path}.new`;
  const { O_CREAT, O_TRUNC } = constants;
  const handle = await open(newPath, openFlags.write | O_CREAT | O_TRUNC, 0o600);
  try {
    await writeAll(handle, Buffer.concat([encodeHeader(key), records]), 0);
    await handle.sync();
    await rename(newPath, path);
    await syncFolder(dirname(path));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function encodeHeader({ partId, contentSizeBytes }: JournalKey): Buffer {
  const header = Buffer.alloc(headerSizeBytes);
  let at = magic.copy(header);
  at += header.write(partId, at, 'hex');
  at = header.writeDoubleBE(contentSizeBytes, at);
  header.writeUInt32BE(crc32(header.subarray(0, at)), at);
  return header;
}

/** The records of a new journal. */
function encodeContent({ held, written }: JournalContent, key: JournalKey): Buffer {
  const seed = crc32(encodeHeader(key));
  return Buffer.concat([
    encodeRecords('held', [...held.ranges()], seed),
    encodeRecords('written', [...written.ranges()], seed),
  ]);
}

/** @param seed makes checksums specific to this object, in case the disk returns data of another object */
function encodeRecords(kind: Kind, ranges: readonly Range[], seed: number): Buffer {
  const records = Buffer.alloc(ranges.length * recordSizeBytes);
  let at = 0;
  for (const { start, end } of ranges) {
    const from = at;
    at = records.writeUInt32BE(kinds[kind], at);
    at = records.writeDoubleBE(start, at);
    at = records.writeDoubleBE(end, at);
    at = records.writeUInt32BE(crc32(records.subarray(from, at), seed), at);
  }
  return records;
}
