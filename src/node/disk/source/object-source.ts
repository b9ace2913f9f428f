/**
 * The sender's side of an object on the disk: files, folders and standard input as one manifest and one
 * run of bytes. Memory and open files are bounded, however many and large the files are.
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

/** Read at once, across files; two of these are held for each run. */
const chunkSizeBytes = 4 * 1024 * 1024;

/** Places that are read on from at once: what is sent, and what is read ahead for the digest. */
const maxRuns = 2;

/** Of one call; a read-ahead and another call may be under way together. */
const openedAtOnce = 4;

/** Kept open between reads: with those in use and standard input, 16 files are open at most. */
const maxIdleFiles = 7;

const verifiedAtOnce = 32;

export interface ObjectSourceOptions {
  /** Paths as the user named them; '-' is standard input. */
  readonly paths: readonly string[];
  /** What '-' reads from; process.stdin by default. */
  readonly input?: NodeJS.ReadableStream;
  /** The name that the file of '-' gets; 'stdin' by default. */
  readonly inputName?: string;
  /** Stops `open`, which may wait for standard input for long. */
  readonly signal?: AbortSignal;
}

export class ObjectSource {
  private readonly chunkSizeBytes: number;
  /** The one used last is the last. */
  private readonly runs: Run[] = [{ nextOffsetBytes: 0, current: undefined, ahead: undefined }];
  /** Memory of chunks that are no longer needed. */
  private readonly spares: ArrayBuffer[] = [];
  /** Where the last read outside of runs ended: one that continues there begins a run. */
  private strayEndBytes = 0;
  /** Reads are served one by one, in the order in which they came. */
  private work: Promise<unknown> = Promise.resolve();
  private pendingReads = 0;
  private isClosed = false;

  private constructor(
    readonly manifest: Manifest,
    private readonly content: Content,
    /**
     * What is not sent, each with its reason: sockets, pipes, devices, links that lead out of the
     * object, names that are not UTF-8 or that no receiver would take, and what could not be read.
     */
    readonly skipped: readonly SkippedEntry[],
  ) {
    this.chunkSizeBytes = Math.min(chunkSizeBytes, this.manifest.contentSizeBytes);
  }

  /** @throws P2mpError SOURCE_UNREADABLE, INVALID_ARGUMENT; the signal's reason once that is aborted */
  static async open(options: ObjectSourceOptions): Promise<ObjectSource> {
    const { paths, input = process.stdin, inputName = 'stdin', signal } = options;
    if (paths.length === 0) {
      throw new P2mpError('INVALID_ARGUMENT', 'nothing to send; name a file or folder');
    }
    checkInputName(inputName);
    const { found, skipped } = await walkEntries(paths, inputName, signal);
    if (!paths.includes('-')) return ObjectSource.of(found, skipped, undefined);
    // Last, so that nobody types or pipes something in vain.
    const { handle, sizeBytes } = await spoolInput(input, signal);
    const entry = {
      kind: 'file',
      name: inputName,
      mode: 0o644,
      modifiedMs: Date.now(),
      sizeBytes,
    } as const;
    const standardInput = { entry, path: '-', isGiven: true };
    return ObjectSource.of(insert(found, standardInput), skipped, handle);
  }

  private static async of(
    found: readonly FoundEntry[],
    skipped: readonly SkippedEntry[],
    spool: FileHandle | undefined,
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
    return new ObjectSource(manifest, new Content(files, spool), skipped);
  }

  /**
   * Bytes of the content, which is all files in the order of the manifest, one behind the other. Calls
   * that follow one another are served from what was read ahead; others cost a read of their own.
   * @returns memory of the caller's own
   * @throws P2mpError SOURCE_CHANGED, SOURCE_UNREADABLE, naming the file
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
    // One that fails does not fail those behind it.
    this.work = bytes
      .catch(() => undefined)
      .then(() => {
        this.pendingReads--;
      });
    return bytes;
  }

  /** Begins to read, while there is nothing else to do: the first receiver is to wait for no disk. */
  prefetch(): void {
    const run = at(this.runs, 0);
    run.ahead ??= this.readAhead(0);
  }

  /**
   * The same at once, where it has been read ahead already and lies in one piece.
   * @returns memory that is good until the next call of any kind; undefined where `read` has to do it
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
   * @throws P2mpError SOURCE_CHANGED naming the first file whose size or time is no longer what was
   *   found at `open`
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

  /** Undefined for single reads here and there, which cost no chunk. */
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

  /** What was read ahead at this offset; undefined where that failed. */
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
        // Whoever asks for the very bytes that failed is told; the others get theirs.
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

/** Reads that continue one another. */
interface Run {
  nextOffsetBytes: number;
  /** What reads are served from. */
  current: Chunk | undefined;
  /** Being read, or there: what follows `current`. */
  ahead: Ahead | undefined;
}

interface Chunk {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Ahead {
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Undefined where it failed. */
  readonly loaded: Promise<Chunk | undefined>;
}

interface SentFile {
  readonly entry: FileEntry;
  readonly path: string;
  readonly isGiven: boolean;
  /** Of the content. */
  readonly offsetBytes: number;
}

/** A part of one file, and where it goes. */
interface Piece {
  readonly file: SentFile;
  readonly fromBytes: number;
  readonly bytes: Uint8Array;
}

/** The files one behind the other, a few of them open. */
class Content {
  /** Open and not in use; the one used last is the last. */
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

  /** Of the file that has the byte at this offset: behind empty ones that begin there as well. */
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

  /** An open file that nobody else uses until it is given back. */
  private async take(file: SentFile): Promise<FileHandle> {
    if (this.isSpooled(file)) return this.spool as FileHandle;
    const idle = this.idle.get(file);
    if (idle !== undefined) {
      this.idle.delete(file);
      return idle;
    }
    // Meanwhile a pipe, whose open would wait, or a link to a secret may have taken its place.
    const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
    const flags = O_RDONLY | O_NONBLOCK | (file.isGiven ? 0 : O_NOFOLLOW);
    return open(file.path, flags).catch((error: unknown) => {
      throw readError(file.path, error);
    });
  }

  private async giveBack(file: SentFile, handle: FileHandle, isAtEnd: boolean): Promise<void> {
    if (this.isSpooled(file)) return;
    // Read to its end, it has hardly more to give; small files never stay open.
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

  /** Nobody else can write to it, and it has no path. */
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

/** Puts an entry where its name belongs among those that lie in no folder. */
function insert(found: readonly FoundEntry[], added: FoundEntry): FoundEntry[] {
  const nameBytes = Buffer.from(added.entry.name);
  const isBehind = ({ entry }: FoundEntry) => {
    const [top = ''] = entry.name.split('/', 1);
    return Buffer.compare(Buffer.from(top), nameBytes) > 0;
  };
  const index = found.findIndex(isBehind);
  return found.toSpliced(index === -1 ? found.length : index, 0, added);
}
