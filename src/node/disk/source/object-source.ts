/**
 * Reads the object to send: files, folders and standard input as one manifest and one stream of bytes. Memory and
 * open files are bounded, regardless of the number and size of files.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert, at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import { readEntryName } from '../../../object/entry-name.js';
import { compareNames } from '../../../object/entry-order.js';
import type { Entry, Manifest } from '../../../object/manifest.js';
import { forEachInTurns } from '../../in-turns.js';
import type { Exclusions } from './exclusions.js';
import { LostEntries } from './lost-entries.js';
import type { CheckRead, SentFile } from './source-content.js';
import { Content } from './source-content.js';
import { spoolInput } from './spool-input.js';
import type { FoundEntry, SkippedEntry, WalkedEntries } from './walk-entries.js';
import { walkEntries } from './walk-entries.js';

export type { SkippedEntry } from './walk-entries.js';

/** Size of a read, which may span several files. Each sequential reader keeps two such chunks in memory. */
const chunkSizeBytes = 4 * 1024 * 1024;

/** Maximum number of sequential readers at a time: one for sending, and one that hashes the content ahead. */
const maxRuns = 2;

export interface ObjectSourceOptions {
  /** Paths as given by the user; '-' is standard input. */
  readonly paths: readonly string[];
  /** Read for '-'; process.stdin by default. */
  readonly input?: NodeJS.ReadableStream;
  /** Name under which standard input is sent; 'stdin' by default. */
  readonly inputName?: string;
  /** The destination at the receivers: `NAME` renames a single path; `FOLDER/` is where all paths go. */
  readonly dest?: string;
  /** What is not sent from the folders among the paths. */
  readonly exclusions?: Exclusions;
  readonly checkRead?: CheckRead;
  /** Aborts `open`, which may wait a long time for standard input. */
  readonly signal?: AbortSignal;
}

export class ObjectSource {
  /**
   * Entries that are not sent, with reasons: sockets, pipes, devices, links that lead out of the object, names that are
   * not UTF-8 or that no receiver would accept, and what could not be read.
   */
  readonly skipped: readonly SkippedEntry[];
  /** The names of the folders that the user named, each with a slash at the end; empty for the receiver's own folder. */
  readonly roots: readonly string[];
  /** Patterns that matched nothing. */
  readonly unusedPatterns: readonly string[];
  /** When the listing began, in milliseconds since 1970. */
  readonly listedAtMs: number;
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
    /** The files, in the order of the content. */
    readonly files: readonly SentFile[],
    /** What can no longer be read. */
    readonly lost: LostEntries,
    private readonly content: Content,
    listing: Pick<ObjectSource, 'skipped' | 'roots' | 'unusedPatterns' | 'listedAtMs'>,
  ) {
    this.skipped = listing.skipped;
    this.roots = listing.roots;
    this.unusedPatterns = listing.unusedPatterns;
    this.listedAtMs = listing.listedAtMs;
    this.chunkSizeBytes = Math.min(chunkSizeBytes, this.manifest.contentSizeBytes);
  }

  /** @throws P2mpError SOURCE_UNREADABLE, INVALID_ARGUMENT; the signal's reason after it aborts */
  static async open(options: ObjectSourceOptions): Promise<ObjectSource> {
    const { paths, inputName = 'stdin', signal } = options;
    if (paths.length === 0) {
      throw new P2mpError('INVALID_ARGUMENT', 'nothing to send; name a file or folder');
    }
    checkInputName(inputName);
    const listedAtMs = Date.now();
    const { dest, exclusions } = options;
    const walked = await walkEntries({
      ...{ paths, inputName },
      ...withoutUndefined({ dest, exclusions, signal }),
    });
    const { found } = walked;
    const { checkRead } = options;
    if (!paths.includes('-')) return ObjectSource.of(found, walked, listedAtMs, { checkRead });
    // Reads the input last, so that none is consumed if something else fails.
    const { input = process.stdin } = options;
    const { handle, sizeBytes } = await spoolInput(input, signal);
    const entry = {
      kind: 'file',
      name: walked.inputName,
      mode: 0o644,
      modifiedMs: Date.now(),
      sizeBytes,
    } as const;
    const standardInput = { entry, path: '-', isGiven: true };
    const readers = { spool: handle, checkRead };
    return ObjectSource.of(insert(found, standardInput), walked, listedAtMs, readers);
  }

  private static async of(
    found: readonly FoundEntry[],
    { skipped, roots, unusedPatterns }: Omit<WalkedEntries, 'found' | 'inputName'>,
    listedAtMs: number,
    { spool, checkRead }: { spool?: FileHandle; checkRead: CheckRead | undefined },
  ): Promise<ObjectSource> {
    const entries: Entry[] = [];
    const files: SentFile[] = [];
    let offsetBytes = 0;
    await forEachInTurns(found, ({ entry, path, isGiven }) => {
      entries.push(entry);
      if (entry.kind !== 'file') return;
      files.push({ entry, path, isGiven, offsetBytes, entryIndex: entries.length - 1 });
      offsetBytes += entry.sizeBytes;
    });
    const manifest = { entries, contentSizeBytes: offsetBytes };
    const lost = new LostEntries(manifest, files);
    const content = new Content(files, spool, checkRead, lost);
    return new ObjectSource(manifest, files, lost, content, {
      ...{ skipped, roots, unusedPatterns, listedAtMs },
    });
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
  /** The chunk after `current`; it is being read or is complete. */
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

/** Inserts an entry in its place by name. */
function insert(found: readonly FoundEntry[], added: FoundEntry): FoundEntry[] {
  const nameBytes = Buffer.from(added.entry.name);
  const index = found.findIndex(
    ({ entry }) => compareNames(Buffer.from(entry.name), nameBytes) > 0,
  );
  return found.toSpliced(index === -1 ? found.length : index, 0, added);
}
