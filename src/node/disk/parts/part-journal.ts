/**
 * The journal of a part records which content is durable. It has a header with the name of the part, followed
 * by records of fixed size, each with its own checksum. Content is recorded only after it was synced, so
 * every prefix of the journal is true. An incomplete record at the end is ignored.
 */
import type { FileHandle } from 'node:fs/promises';
import { constants, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import { openFlags, syncFolder, writeAll } from '../fsync.js';

/**
 * Increment the number when the layout of the journal or the part changes; older parts are then received
 * again.
 */
const magic = Buffer.from('p2mp part 1\n');
const headerSizeBytes = magic.length + 32 + 8 + 4;
/** Kind, start, end, checksum. */
const recordSizeBytes = 4 + 8 + 8 + 4;
const kinds = { held: 1, forgotten: 2 } as const;
type Kind = keyof typeof kinds;

/** Records read at once. */
const chunkRecordCount = 32_768;
/** The journal is rewritten when it has over 2n + spareRecordCount records; a new journal would have n. */
const spareRecordCount = 100_000;

export interface JournalKey {
  /** 64 hexadecimal digits. */
  readonly partId: string;
  readonly contentSizeBytes: number;
}

/** @returns the durable ranges; undefined if there is no journal of this object */
export async function readJournal(path: string, key: JournalKey): Promise<RangeSet | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, openFlags.read);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const header = encodeHeader(key);
    const found = Buffer.alloc(headerSizeBytes);
    await handle.read(found, 0, headerSizeBytes, 0);
    return found.equals(header) ? await replay(handle, crc32(header), key) : undefined;
  } finally {
    await handle.close();
  }
}

/** Reads records up to the first invalid one. */
async function replay(handle: FileHandle, seed: number, key: JournalKey): Promise<RangeSet> {
  const held = new RangeSet();
  const chunk = Buffer.alloc(chunkRecordCount * recordSizeBytes);
  for (let position = headerSizeBytes; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    const whole = bytesRead - (bytesRead % recordSizeBytes);
    if (whole === 0) return held;
    for (let at = 0; at < whole; at += recordSizeBytes) {
      const record = chunk.subarray(at, at + recordSizeBytes);
      if (!applyRecord(held, record, seed, key)) return held;
    }
    position += whole;
  }
}

function applyRecord(held: RangeSet, record: Buffer, seed: number, key: JournalKey): boolean {
  const body = record.subarray(0, recordSizeBytes - 4);
  if (record.readUInt32BE(body.length) !== crc32(body, seed)) return false;
  const kind = record.readUInt32BE(0);
  const [start, end] = [record.readDoubleBE(4), record.readDoubleBE(12)];
  const isWhole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (!isWhole || !(start >= 0 && start < end && end <= key.contentSizeBytes)) return false;
  if (kind === kinds.held) held.add(start, end);
  else if (kind === kinds.forgotten) held.remove(start, end);
  else return false;
  return true;
}

export class PartJournal {
  private recordCount: number;
  /**
   * Set during an append and after a failed append. The next append first truncates the file to its last
   * complete record.
   */
  private isTorn = false;

  private constructor(
    private readonly path: string,
    private readonly key: JournalKey,
    /** The durable ranges, including those of an append in progress. */
    readonly held: RangeSet,
    private handle: FileHandle,
  ) {
    this.recordCount = held.rangeCount;
  }

  /** Creates a journal with these ranges, replacing any existing one. */
  static async create(path: string, key: JournalKey, held: RangeSet): Promise<PartJournal> {
    return new PartJournal(path, key, held, await writeJournal(path, key, held));
  }

  /** Records ranges that are durable. */
  async add(ranges: readonly Range[]): Promise<void> {
    for (const { start, end } of ranges) this.held.add(start, end);
    await this.append('held', ranges);
  }

  /** Records that a range is no longer durable. Call this before the range is overwritten. */
  async forget(range: Range): Promise<void> {
    const [gap] = this.held.gaps(range.start, range.end);
    if (gap?.start === range.start && gap.end === range.end) return;
    this.held.remove(range.start, range.end);
    await this.append('forgotten', [range]);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  private async append(kind: Kind, ranges: readonly Range[]): Promise<void> {
    if (this.recordCount > 2 * this.held.rangeCount + spareRecordCount) return this.shrink();
    const position = headerSizeBytes + this.recordCount * recordSizeBytes;
    if (this.isTorn) await this.handle.truncate(position);
    this.isTorn = true;
    const bytes = encodeRecords(kind, ranges, crc32(encodeHeader(this.key)));
    await writeAll(this.handle, bytes, position);
    await this.handle.datasync();
    this.isTorn = false;
    this.recordCount += ranges.length;
  }

  private async shrink(): Promise<void> {
    const { handle } = this;
    this.handle = await writeJournal(this.path, this.key, this.held);
    this.recordCount = this.held.rangeCount;
    this.isTorn = false;
    await handle.close();
  }
}

/** Writes a new file and renames it, so the old journal stays until the new one is complete. */
async function writeJournal(path: string, key: JournalKey, held: RangeSet): Promise<FileHandle> {
  const newPath = `${path}.new`;
  const { O_CREAT, O_TRUNC } = constants;
  const handle = await open(newPath, openFlags.write | O_CREAT | O_TRUNC, 0o600);
  try {
    const header = encodeHeader(key);
    const records = encodeRecords('held', [...held.ranges()], crc32(header));
    await writeAll(handle, Buffer.concat([header, records]), 0);
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
