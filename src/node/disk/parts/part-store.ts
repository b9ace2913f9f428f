/**
 * Stores one incoming object on disk. The content is collected in a part, verified, and then made durable
 * under the final names. Everything that a checkpoint has recorded survives a crash.
 */

import { assert } from '../../../base/assert.js';
import type { P2mpError } from '../../../base/errors.js';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import type { DeletionResult, HeldBlock } from '../../../object/content-store.js';
import type { Extra } from '../../../wire/lists.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { fileError } from '../../system-error.js';
import { deleteExtras } from '../deletion/delete-extras.js';
import { slicesOf, syncFolder } from '../fsync.js';
import type { ContentFile, Piece } from '../store/content-layout.js';
import {
  blocksInPart,
  checkFiles,
  findDamagedBlocks,
  isCheapToReadBack,
} from '../store/disk-check.js';
import { placeEntries } from '../store/place-entries.js';
import { prepareFiles } from '../store/prepare-files.js';
import { hasAll, hasAny, partsWithin } from '../store/range-queries.js';
import type { Run } from '../store/write-behind.js';
import { WriteBehind } from '../store/write-behind.js';
import type { OpenedPart } from './open-part.js';
import { openPart } from './open-part.js';
import { orRemovedPart, removeIfEmpty } from './part-folder.js';
import type { PartStoreOptions } from './part-store-options.js';
import { removePartFolder } from './remove-part.js';
import { WithdrawnFiles } from './withdrawn-files.js';

export type { ExistingFiles } from '../../../wire/offer.js';
export { removeStaleParts } from './stale-parts.js';

/** A sync of so much takes about as long as one of nothing. */
const leastCheckpointBytes = 4 * 1024 * 1024;

export class PartStore {
  /** Blocks that need not be received because an earlier part or an existing file has them; ascending. */
  readonly held: readonly HeldBlock[];
  /** Blocks that lie entirely in kept files: neither received nor verified. */
  readonly kept: readonly Range[];
  /** Number of existing files that stay as they are, whatever their content. */
  readonly keptCount: number;
  /** Files whose size and time are unchanged. Their blocks are among those kept. */
  readonly unchangedCount: number;

  /** Bytes that the store has, durable or not, except those of kept files. */
  private readonly present: RangeSet;
  /** Bytes in the part that are not in the journal yet. */
  private written: RangeSet;
  /** Bytes that the checkpoint in progress is about to record. */
  private noting = new RangeSet();
  private readonly behind: WriteBehind;
  private readonly writing = new Map<Range, Promise<void>>();
  /** Bytes since the last checkpoint. */
  private newBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Serializes checkpoints and everything else that changes the journal. */
  private queue: Promise<unknown> = Promise.resolve();
  /**
   * Set after a failed sync. The system may have dropped written bytes; only reopening the part shows which
   * bytes remain.
   */
  private failure: P2mpError | undefined;
  /** The error of the first failed write, whose bytes are missing until they are written again. */
  private writeFailure: unknown;
  /** Aborts reads whose result is no longer needed. */
  private readonly stop = new AbortController();
  private ending: Promise<void> | undefined;
  readonly withdrawn: WithdrawnFiles;

  /** Entries that the sender does not send; none unless it asks to delete them. */
  get extras(): Iterable<Extra> {
    return this.part.extras?.entries.keys() ?? [];
  }

  private readonly openedAtMs = performance.now();

  private constructor(
    private readonly part: OpenedPart,
    private readonly checkpointBytes: number,
    private readonly checkpointMs: number,
    private readonly options: PartStoreOptions,
  ) {
    this.behind = new WriteBehind((run) => this.writeRun(run), options.gatherMs);
    this.withdrawn = new WithdrawnFiles(part.manifest);
    this.held = part.held;
    this.kept = part.kept;
    this.keptCount = part.keptCount;
    this.unchangedCount = part.unchangedCount;
    this.present = part.present;
    this.written = part.unsynced;
    part.files.handleCopied = (file) => this.noteCopied(file);
  }

  /**
   * Checks the target folder and the names, creates or reopens the part, and hashes the blocks that already
   * exist.
   * @throws P2mpError TARGET_UNWRITABLE, TARGET_FAILED; the signal's reason
   */
  static async open(options: PartStoreOptions): Promise<PartStore> {
    const { checkpointBytes = 64 * 1024 * 1024, checkpointMs = 2000 } = options;
    const part = await openPart(options);
    return new PartStore(part, checkpointBytes, checkpointMs, options);
  }

  /**
   * Writes bytes at an offset of the content. The caller must not change them until the promise settles. Calls may
   * overlap in time and complete in any order.
   * @throws P2mpError TARGET_FAILED
   */
  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    this.checkUsable();
    await this.behind.write(offsetBytes, bytes).catch((error: unknown) => {
      this.writeFailure ??= error;
      throw error;
    });
  }

  private async writeRun({ offsetBytes, parts }: Run): Promise<void> {
    this.checkUsable();
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const range = { start: offsetBytes, end: offsetBytes + sizeBytes };
    // The journal must forget the range before its bytes are overwritten.
    if (hasAny(this.present, range)) {
      await this.forgetRange(range);
      this.checkUsable();
    }
    const work = this.writeRange(range, parts);
    this.writing.set(range, work);
    try {
      await work;
    } finally {
      this.writing.delete(range);
    }
    this.newBytes += sizeBytes;
    this.planCheckpoint();
  }

  /** Reads content while the store fills. @returns undefined if the store does not have all of these bytes */
  async read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array | undefined> {
    const range = { start: offsetBytes, end: offsetBytes + sizeBytes };
    if (this.ending !== undefined || !hasAll(this.present, range)) return undefined;
    const bytes = new Uint8Array(sizeBytes);
    const isWhole = await this.part.files.read(offsetBytes, bytes);
    // A block that was forgotten in the meantime is being written again.
    return isWhole && hasAll(this.present, range) ? bytes : undefined;
  }

  /** Returns the names of the files that the block overlaps. */
  namesAt(blockIndex: number): string[] {
    const { blockSizeBytes, layout } = this.part;
    const start = blockIndex * blockSizeBytes;
    return layout.namesAt(start, start + blockSizeBytes);
  }

  /**
   * Marks a held block as bad: the journal forgets the block, which is missing until it is written again.
   */
  async forget(blockIndex: number): Promise<void> {
    this.checkOpen();
    const { blockSizeBytes, layout } = this.part;
    const start = blockIndex * blockSizeBytes;
    const end = Math.min(start + blockSizeBytes, layout.sizeBytes);
    await this.forgetRange({ start, end });
  }

  /**
   * Makes everything written so far durable and records it in the journal.
   * @throws P2mpError TARGET_FAILED
   */
  async checkpoint(): Promise<void> {
    this.checkUsable();
    await this.enqueue(() => this.checkpointNow());
  }

  /**
   * Reads the part back and compares it with the digests, because another process or the disk may have
   * changed the content. An object larger than 8 MiB is read back only if it probably fits in the page cache
   * and if reading takes little time compared with the transfer. With `verifiesDisk`, every object is read
   * back.
   * @param leafOf returns the digest of a block
   * @returns the blocks that differ; undefined if the store was stopped in the meantime
   * @throws P2mpError TARGET_FAILED if reading fails or an earlier write failed
   */
  async findDamage(leafOf: (block: number) => Uint8Array): Promise<number[] | undefined> {
    this.checkUsable();
    await this.settle();
    const { signal } = this.stop;
    // Runs in the queue. The store waits for the queue before it closes, so no file is opened afterwards.
    return this.enqueue(async () => {
      try {
        signal.throwIfAborted();
        return await this.readBack(leafOf, signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        throw error;
      }
    });
  }

  private async readBack(
    leafOf: (block: number) => Uint8Array,
    signal: AbortSignal,
  ): Promise<number[]> {
    await this.checkWritten(signal);
    const { files, blockSizeBytes } = this.part;
    const ranges = await blocksInPart(files, blockSizeBytes, signal);
    this.withdrawn.removeFrom(ranges);
    const sizeBytes = ranges.count * blockSizeBytes;
    const elapsedMs = performance.now() - this.openedAtMs;
    const { verifiesDisk = false, arrivingBytes } = this.options;
    if (!verifiesDisk && !isCheapToReadBack(sizeBytes, elapsedMs, arrivingBytes?.())) return [];
    return findDamagedBlocks(files, [...ranges.ranges()], blockSizeBytes, leafOf, signal);
  }

  /**
   * Makes the verified content durable under its final names, deletes what the sender does not send, and removes the
   * part.
   * @param doomed the entries of `extras` to delete, in the same order
   * @returns what was deleted; undefined if the sender does not ask for deletion
   * @throws P2mpError TARGET_FAILED if this call or an earlier write failed; the part stays, and nothing is deleted
   */
  async finish(doomed: Iterable<Extra> = []): Promise<DeletionResult | undefined> {
    this.checkUsable();
    await this.settle();
    const deletion = await this.enqueue(async () => {
      await this.finishNow();
      const { extras } = this.part;
      if (extras === undefined) return undefined;
      return deleteExtras(this.part, extras, doomed, this.stop.signal);
    });
    await this.end(true);
    return deletion;
  }

  /**
   * Stops and keeps the part, so that the transfer can resume. Bytes that cannot be recorded will be received
   * again.
   */
  async suspend(): Promise<void> {
    if (this.ending !== undefined) return this.ending;
    this.stop.abort();
    await this.settle();
    if (this.failure === undefined) await this.checkpoint().catch(() => undefined);
    await this.end(false);
  }

  /** Stops and removes the part. */
  async discard(): Promise<void> {
    await this.end(true);
  }

  private async writeRange(range: Range, parts: readonly Uint8Array[]): Promise<void> {
    const { files, layout, journal } = this.part;
    const pieces = [...layout.pieces(range.start, range.end)];
    await forEachLimited(pieces, diskConcurrency, (piece) => {
      const from = startOf(piece) - range.start;
      return files.write(piece, slicesOf(parts, from, piece.sizeBytes));
    });
    for (const piece of pieces) this.notePresent(piece);
    for (const part of partsWithin(this.written, range)) journal.noteWritten(part);
  }

  private notePresent(piece: Piece): void {
    const { kind } = this.part.files.place(piece.file);
    if (kind === 'kept') return;
    const [start, end] = [startOf(piece), startOf(piece) + piece.sizeBytes];
    this.present.add(start, end);
    // Bytes of candidates are not recorded, because opening the part reads candidates again anyway.
    if (kind === 'part') this.written.add(start, end);
  }

  private noteCopied(file: ContentFile): void {
    for (const { start, end } of partsWithin(this.present, file)) this.written.add(start, end);
  }

  private async forgetRange(range: Range): Promise<void> {
    for (const set of [this.present, this.written, this.noting]) set.remove(range.start, range.end);
    await this.enqueue(() => this.inJournal(this.part.journal.forget(range)));
  }

  private planCheckpoint(): void {
    if (this.ending !== undefined) return;
    if (this.newBytes >= this.checkpointBytes || this.isNearEnd) this.checkpointInBackground();
    this.timer ??= setTimeout(() => this.checkpointInBackground(), this.checkpointMs).unref();
  }

  /** The less is missing, the sooner a checkpoint is due, so that little is left to sync when everything is there. */
  private get isNearEnd(): boolean {
    const missingBytes = this.part.layout.sizeBytes - this.present.count;
    return this.newBytes >= leastCheckpointBytes && this.newBytes >= 2 * missingBytes;
  }

  private checkpointInBackground(): void {
    this.clearPlan();
    // Ignore the error. If a sync failed, the next write throws that error; if writing the journal failed,
    // the next checkpoint tries again.
    this.enqueue(() => this.checkpointNow()).catch(() => undefined);
  }

  private clearPlan(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.newBytes = 0;
  }

  private async checkpointNow(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.clearPlan();
    if (this.written.isEmpty) return;
    const { files } = this.part;
    this.takeWritten();
    await files.sync(files.takeUnsynced()).catch((error: unknown) => this.fail(error));
    this.checkClosed();
    await this.noteTaken();
  }

  /**
   * Chooses what the current checkpoint records: all ranges that are completely written. Ranges that a write
   * in progress might change wait for the next checkpoint.
   */
  private takeWritten(): void {
    this.noting = this.written;
    this.written = new RangeSet();
    for (const range of this.writing.keys()) {
      for (const { start, end } of partsWithin(this.noting, range)) {
        this.noting.remove(start, end);
        this.written.add(start, end);
      }
    }
  }

  private async noteTaken(): Promise<void> {
    const taken = [...this.noting.ranges()];
    this.noting = new RangeSet();
    if (taken.length === 0) return;
    try {
      await this.inJournal(this.part.journal.add(taken));
    } catch (error) {
      for (const { start, end } of taken) this.written.add(start, end);
      throw error;
    }
  }

  private async finishNow(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    await this.checkWritten();
    this.clearPlan();
    const { files, openFiles, paths } = this.part;
    await openFiles.closeAll();
    this.takeWritten();
    files.takeUnsynced();
    const placing = this.withdrawn.placingOf(this.part);
    await prepareFiles(placing).catch((error: unknown) => this.fail(error));
    this.checkClosed();
    await syncFolder(paths.part).catch((error: unknown) => this.fail(error));
    // Record everything before the renames, so that a crash between them loses nothing.
    await this.noteTaken();
    await placeEntries(placing);
  }

  /** Waits for work in progress. */
  private async settle(): Promise<void> {
    await this.behind.settle();
    await Promise.allSettled(this.writing.values());
    await this.queue;
  }

  private end(isPartRemoved: boolean): Promise<void> {
    this.stop.abort();
    this.ending ??= this.endNow(isPartRemoved);
    return this.ending;
  }

  private async endNow(isPartRemoved: boolean): Promise<void> {
    this.clearPlan();
    await this.settle();
    this.clearPlan();
    const { fileBudget, journal, lock, openFiles, paths, target } = this.part;
    try {
      await openFiles.end();
      await journal.close().finally(() => fileBudget.giveLasting());
      if (isPartRemoved) await removePartFolder(paths.part);
    } catch (error) {
      throw fileError('TARGET_FAILED', target.name, error);
    } finally {
      await lock.release();
      await removeIfEmpty(paths.parts);
    }
  }

  private enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  private async inJournal(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      const { paths, target } = this.part;
      throw fileError('TARGET_FAILED', paths.journal, orRemovedPart(target, error));
    });
  }

  /** @throws the error of the first failed write if bytes are missing */
  private async checkWritten(signal?: AbortSignal): Promise<void> {
    const isWhole = (file: ContentFile) =>
      this.withdrawn.has(file.entry) || hasAll(this.present, file);
    await checkFiles(this.part.files, isWhole, this.writeFailure, signal);
  }

  private fail(error: unknown): never {
    const { target } = this.part;
    this.failure = fileError('TARGET_FAILED', target.name, orRemovedPart(target, error));
    throw this.failure;
  }

  private checkClosed(): void {
    const { failure } = this.part.openFiles;
    if (failure !== undefined) this.fail(failure);
  }

  private checkOpen(): void {
    assert(this.ending === undefined, 'the store is open');
  }

  private checkUsable(): void {
    this.checkOpen();
    if (this.failure !== undefined) throw this.failure;
  }
}

function startOf({ file, offsetBytes }: Piece): number {
  return file.start + offsetBytes;
}
