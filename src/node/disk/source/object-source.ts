/**
 * Reads the object to send: files, folders and standard input as one manifest and one stream of bytes. Memory and
 * open files are bounded, regardless of the number and size of files.
 */
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, stat } from 'node:fs/promises';
import { assert, at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { readEntryName } from '../../../object/entry-name.js';
import type { Entry, FileEntry, Manifest } from '../../../object/manifest.js';
import { forEachInTurns } from '../../in-turns.js';
import { forEachLimited } from '../../limited-concurrency.js';
import { changed, changedSize, endedEarly, readError } from './source-errors.js';
import { spoolInput } from './spool-input.js';
import type { FoundEntry, SkippedEntry } from './walk-entries.js';
import { modifiedMsOf, walkEntries } from './walk-entries.js';

export type { SkippedEntry } from './walk-entries.js';

/** Size of a read, which may span several files. Each sequential reader keeps two such chunks in memory. */
const chunkSizeBytes = 4 * 1024 * 1024;

/** Maximum number of sequential readers at a time: one for sending, and one that hashes the content ahead. */
const maxRuns = 2;

/** Maximum number of files that one read opens at a time. A read and a read-ahead may run concurrently. */
const openedAtOnce = 4;

/** Maximum number of idle open files. With files in use and standard input, at most 16 files are open. */
const maxIdleFiles = 7;

const verifiedAtOnce = 32;

export interface ObjectSourceOptions {
  /** Paths as given by the user; '-' is standard input. */
  readonly paths: readonly string[];
  /** Read for '-'; process.stdin by default. */
  readonly input?: NodeJS.ReadableStream;
  /** Name under which standard input is sent; 'stdin' by default. */
  readonly inputName?: string;
  /** Aborts `open`, which may wait a long time for standard input. */
  readonly signal?: AbortSignal;
}

export class ObjectSource {
  private readonly chunkSizeBytes: number;
  /** Least recently used first. */
  private readonly runs: Run[] = [{ nextOffsetBytes: 0, current: undefined, ahead: undefined }];
  /** Memory of released chunks, for reuse. */
  private readonly spares: ArrayBuffer[] = [];
  /** End of the last isolated read. A read that continues at this offset starts a sequential reader. */
  private strayEndBytes = 0;
  /** Serializes reads in their order. */
  private work: Promise<unknown> = Promise.resolve();
  private pendingReads = 0;
  private isClosed = false;

  private constructor(
    readonly manifest: Manifest,
    private readonly content: Content,
    /**
     * Entries that are not sent, with reasons: sockets, pipes, devices, links that lead out of the object, names
     * that are not UTF-8 or that no receiver would accept, and what could not be read.
     */
    readonly skipped: readonly SkippedEntry[],
    /** When the listing began, in milliseconds since 1970. */
    readonly listedAtMs: number,
  ) {
    this.chunkSizeBytes = Math.min(chunkSizeBytes, this.manifest.contentSizeBytes);
  }

  /** @throws P2mpError SOURCE_UNREADABLE, INVALID_ARGUMENT; the signal's reason after it aborts */
  static async open(options: ObjectSourceOptions): Promise<ObjectSource> {
    const { paths, input = process.stdin, inputName = 'stdin', signal } = options;
    if (paths.length === 0) {
      throw new P2mpError('INVALID_ARGUMENT', 'nothing to send; name a file or folder');
    }
    checkInputName(inputName);
    const listedAtMs = Date.now();
    const { found, skipped } = await walkEntries(paths, inputName, signal);
    if (!paths.includes('-')) return ObjectSource.of(found, skipped, undefined, listedAtMs);
    // Reads the input last, so that none is consumed if something else fails.
    const { handle, sizeBytes } = await spoolInput(input, signal);
    const entry = {
      kind: 'file',
      name: inputName,
      mode: 0o644,
      modifiedMs: Date.now(),
      sizeBytes,
    } as const;
    const standardInput = { entry, path: '-', isGiven: true };
    return ObjectSource.of(insert(found, standardInput), skipped, handle, listedAtMs);
  }

  private static async of(
    found: readonly FoundEntry[],
    skipped: readonly SkippedEntry[],
    spool: FileHandle | undefined,
    listedAtMs: number,
  ): Promise<ObjectSource> {
    const entries: Entry[] = [];
    const files: SentFile[] = [];
    let offsetBytes = 0;
    await forEachInTurns(found, ({ entry, path, isGiven }) => {
      entries.push(entry);
      if (entry.kind !== 'file') return;
      files.push({ entry, path, isGiven, offsetBytes });
      offsetBytes += entry.sizeBytes;
    });
    const manifest = { entries, contentSizeBytes: offsetBytes };
    return new ObjectSource(manifest, new Content(files, spool), skipped, listedAtMs);
  }

  /**
   * Reads from the content, which is the concatenation of all files in the order of the manifest. Consecutive calls
   * are served from read-ahead; others cost a separate read.
   * @returns memory owned by the caller
   * @throws P2mpError SOURCE_CHANGED, SOURCE_UNREADABLE, with the name of the file
   */
  read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
    const { contentSizeBytes } = this.manifest;
    assert(!this.isClosed, 'the object is open while it is read');
    assert(
      offsetBytes >= 0 && sizeBytes >= 0 && offsetBytes + sizeBytes <= contentSizeBytes,
      `${sizeBytes} bytes at ${offsetBytes} of ${contentSizeBytes}`,
    );
    const bytes = this.work.then(() => this.serve(offsetBytes, sizeBytes));
    this.pendingReads++;
    // A failed read does not fail later ones.
    this.work = bytes
      .catch(() => undefined)
      .then(() => {
        this.pendingReads--;
      });
    return bytes;
  }

  /**
   * Starts reading ahead before any block is requested, so that the first receiver need not wait for the
   * disk.
   */
  prefetch(): void {
    const run = at(this.runs, 0);
    run.ahead ??= this.readAhead(0);
  }

  /**
   * Like `read`, but synchronous. Succeeds only if one chunk in memory contains all the bytes.
   * @returns memory that is valid until the next call of any method; undefined if `read` is needed
   */
  peek(offsetBytes: number, sizeBytes: number): Uint8Array | undefined {
    if (this.pendingReads > 0 || this.isClosed) return undefined;
    for (const run of this.runs) {
      const { current } = run;
      if (current === undefined) continue;
      const from = offsetBytes - current.offsetBytes;
      if (from < 0 || from + sizeBytes > current.bytes.length) continue;
      run.nextOffsetBytes = offsetBytes + sizeBytes;
      return current.bytes.subarray(from, from + sizeBytes);
    }
    return undefined;
  }

  /**
   * @throws P2mpError SOURCE_CHANGED with the name of the first file whose size or time differs from what
   *   `open` found
   */
  async verify(): Promise<void> {
    await this.content.verify();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.work;
    for (const { ahead } of this.runs) await ahead?.loaded;
    await this.content.close();
  }

  private async serve(offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sizeBytes);
    let count = 0;
    while (count < sizeBytes) {
      const start = offsetBytes + count;
      const run = await this.runAt(start);
      const chunk = run === undefined ? undefined : await this.chunkAt(run, start);
      if (run === undefined || chunk === undefined) {
        await this.content.read(bytes.subarray(count), start);
        if (run === undefined) this.strayEndBytes = offsetBytes + sizeBytes;
        else run.nextOffsetBytes = offsetBytes + sizeBytes;
        break;
      }
      const from = start - chunk.offsetBytes;
      const part = chunk.bytes.subarray(from, from + sizeBytes - count);
      bytes.set(part, count);
      count += part.length;
      run.nextOffsetBytes = start + part.length;
    }
    return bytes;
  }

  /**
   * Returns the sequential reader for this offset; undefined for an isolated read, which is not worth a whole
   * chunk.
   */
  private async runAt(offsetBytes: number): Promise<Run | undefined> {
    const { runs } = this;
    const found = runs.find(
      ({ current, ahead, nextOffsetBytes }) =>
        offsetBytes === nextOffsetBytes ||
        (current !== undefined && isWithin(offsetBytes, current, current.bytes.length)) ||
        (ahead !== undefined && isWithin(offsetBytes, ahead, ahead.sizeBytes)),
    );
    if (found !== undefined) {
      runs.splice(runs.indexOf(found), 1);
      runs.push(found);
      return found;
    }
    if (offsetBytes !== this.strayEndBytes) return undefined;
    const oldest = runs.length < maxRuns ? undefined : runs.shift();
    this.release(oldest?.current);
    this.release(await oldest?.ahead?.loaded);
    const run: Run = { nextOffsetBytes: offsetBytes, current: undefined, ahead: undefined };
    runs.push(run);
    return run;
  }

  /** Returns the chunk that contains this offset; undefined if reading the chunk failed. */
  private async chunkAt(run: Run, offsetBytes: number): Promise<Chunk | undefined> {
    const { current } = run;
    if (current !== undefined && isWithin(offsetBytes, current, current.bytes.length)) {
      return current;
    }
    if (run.ahead === undefined || !isWithin(offsetBytes, run.ahead, run.ahead.sizeBytes)) {
      this.release(await run.ahead?.loaded);
      run.ahead = this.readAhead(offsetBytes);
    }
    const next = await run.ahead?.loaded;
    run.ahead = undefined;
    this.release(run.current);
    run.current = next;
    if (next !== undefined) run.ahead = this.readAhead(next.offsetBytes + next.bytes.length);
    return next;
  }

  private readAhead(offsetBytes: number): Ahead | undefined {
    const leftBytes = this.manifest.contentSizeBytes - offsetBytes;
    const sizeBytes = Math.min(this.chunkSizeBytes, leftBytes);
    if (sizeBytes === 0) return undefined;
    const memory = this.spares.pop() ?? new ArrayBuffer(this.chunkSizeBytes);
    const chunk = { offsetBytes, bytes: new Uint8Array(memory, 0, sizeBytes) };
    const loaded = this.content.read(chunk.bytes, offsetBytes).then(
      () => chunk,
      () => {
        // Drop the error: a caller that needs these bytes reads them again and gets the error then.
        this.release(chunk);
        return undefined;
      },
    );
    return { offsetBytes, sizeBytes, loaded };
  }

  private release(chunk: Chunk | undefined): void {
    if (chunk !== undefined) this.spares.push(chunk.bytes.buffer);
  }
}

/** A sequential reader. */
interface Run {
  nextOffsetBytes: number;
  /** The chunk that reads are served from. */
  current: Chunk | undefined;
  /** The chunk after `current`, being read or ready. */
  ahead: Ahead | undefined;
}

interface Chunk {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Ahead {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Resolves to undefined if reading failed. */
  readonly loaded: Promise<Chunk | undefined>;
}

interface SentFile {
  readonly entry: FileEntry;
  readonly path: string;
  readonly isGiven: boolean;
  /** Offset in the content. */
  readonly offsetBytes: number;
}

/** A part of one file, and the memory to read it into. */
interface Piece {
  readonly file: SentFile;
  readonly fromBytes: number;
  readonly bytes: Uint8Array;
}

/** The concatenated files, of which only a few are open at a time. */
class Content {
  /** Open files that are not in use, least recently used first. */
  private readonly idle = new Map<SentFile, FileHandle>();

  constructor(
    private readonly files: readonly SentFile[],
    private readonly spool: FileHandle | undefined,
  ) {}

  async read(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    await forEachLimited(this.piecesOf(bytes, offsetBytes), openedAtOnce, (piece) =>
      this.readPiece(piece),
    );
  }

  async verify(): Promise<void> {
    await forEachLimited(this.files, verifiedAtOnce, async (file) => {
      const { entry, path, isGiven } = file;
      if (this.isSpooled(file)) return;
      const stats = await (isGiven ? stat(path) : lstat(path)).catch((error: unknown) => {
        throw readError(path, error);
      });
      if (!stats.isFile()) throw changed(path, 'was replaced');
      if (stats.size !== entry.sizeBytes) throw changedSize(path, entry.sizeBytes, stats.size);
      if (modifiedMsOf(stats) !== entry.modifiedMs) throw changed(path, 'was written to');
    });
  }

  async close(): Promise<void> {
    const handles = [...this.idle.values()];
    this.idle.clear();
    if (this.spool !== undefined) handles.push(this.spool);
    for (const handle of handles) await handle.close();
  }

  private piecesOf(bytes: Uint8Array, offsetBytes: number): Piece[] {
    const pieces: Piece[] = [];
    let count = 0;
    for (let i = this.indexAt(offsetBytes); count < bytes.length; i++) {
      const file = at(this.files, i);
      const fromBytes = offsetBytes + count - file.offsetBytes;
      const sizeBytes = Math.min(file.entry.sizeBytes - fromBytes, bytes.length - count);
      if (sizeBytes === 0) continue;
      pieces.push({ file, fromBytes, bytes: bytes.subarray(count, count + sizeBytes) });
      count += sizeBytes;
    }
    return pieces;
  }

  /** Index of the file with the byte at this offset, skipping empty files. */
  private indexAt(offsetBytes: number): number {
    let low = 0;
    let high = this.files.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (at(this.files, middle).offsetBytes <= offsetBytes) low = middle;
      else high = middle;
    }
    return low;
  }

  private async readPiece(piece: Piece): Promise<void> {
    const { file, fromBytes, bytes } = piece;
    const handle = await this.take(file);
    try {
      await readFully(handle, piece);
    } catch (error) {
      throw readError(file.path, error);
    } finally {
      await this.giveBack(file, handle, fromBytes + bytes.length === file.entry.sizeBytes);
    }
  }

  /**
   * Returns a handle for exclusive use until `giveBack` is called. Opens the file if no handle of it is idle.
   */
  private async take(file: SentFile): Promise<FileHandle> {
    if (this.isSpooled(file)) return this.spool as FileHandle;
    const idle = this.idle.get(file);
    if (idle !== undefined) {
      this.idle.delete(file);
      return idle;
    }
    // In the meantime, a pipe (which would block) or a link to a secret file may have replaced the file.
    const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
    const flags = O_RDONLY | O_NONBLOCK | (file.isGiven ? 0 : O_NOFOLLOW);
    return open(file.path, flags).catch((error: unknown) => {
      throw readError(file.path, error);
    });
  }

  private async giveBack(file: SentFile, handle: FileHandle, isAtEnd: boolean): Promise<void> {
    if (this.isSpooled(file)) return;
    // A file that was read to its end is hardly ever needed again, so small files never stay open.
    if (isAtEnd || this.idle.has(file)) {
      await handle.close();
      return;
    }
    this.idle.set(file, handle);
    const [oldest] = this.idle;
    if (this.idle.size <= maxIdleFiles || oldest === undefined) return;
    this.idle.delete(oldest[0]);
    await oldest[1].close();
  }

  /** Whether this is spooled input. Spooled input has no path, so no other process can change it. */
  private isSpooled(file: SentFile): boolean {
    return this.spool !== undefined && file.path === '-';
  }
}

async function readFully(handle: FileHandle, { file, fromBytes, bytes }: Piece): Promise<void> {
  let count = 0;
  while (count < bytes.length) {
    const { bytesRead } = await handle.read(bytes, count, bytes.length - count, fromBytes + count);
    if (bytesRead === 0) {
      const { size } = await handle.stat();
      throw endedEarly(file.path, file.entry.sizeBytes, size, fromBytes + count);
    }
    count += bytesRead;
  }
}

function isWithin(offsetBytes: number, range: { offsetBytes: number }, sizeBytes: number): boolean {
  return offsetBytes >= range.offsetBytes && offsetBytes < range.offsetBytes + sizeBytes;
}

function checkInputName(name: string): void {
  const read = readEntryName(Buffer.from(name), 'posix');
  if (typeof read !== 'string' && !name.includes('/')) return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `${name}: not a valid file name for standard input; choose one without slashes`,
  );
}

/** Inserts an entry by name among the top-level entries. */
function insert(found: readonly FoundEntry[], added: FoundEntry): FoundEntry[] {
  const nameBytes = Buffer.from(added.entry.name);
  const isBehind = ({ entry }: FoundEntry) => {
    const [top = ''] = entry.name.split('/', 1);
    return Buffer.compare(Buffer.from(top), nameBytes) > 0;
  };
  const index = found.findIndex(isBehind);
  return found.toSpliced(index === -1 ? found.length : index, 0, added);
}
