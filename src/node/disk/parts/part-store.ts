/**
 * The disk side of one incoming object: bytes are kept in a part until all of them are verified, then
 * made durable under their final names. What a checkpoint has noted outlives a crash.
 */

import { assert } from '../../../base/assert.js';
import type { P2mpError } from '../../../base/errors.js';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import { forEachInTurns } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { fileError } from '../../system-error.js';
import { slicesOf, syncFolder } from '../fsync.js';
import type { ContentFile, Piece } from '../store/content-layout.js';
import { findDamagedBlocks, isCheapToReadBack } from '../store/disk-check.js';
import type { HeldBlock } from '../store/held-blocks.js';
import { placeEntries, prepareFiles } from '../store/place-entries.js';
import { hasAll, hasAny, partsWithin } from '../store/range-queries.js';
import type { Run } from '../store/write-behind.js';
import { WriteBehind } from '../store/write-behind.js';
import type { OpenedPart } from './open-part.js';
import { openPart } from './open-part.js';
import { removeIfEmpty } from './part-folder.js';
import type { PartStoreOptions } from './part-store-options.js';
import { removePartFolder } from './remove-part.js';

export type { ExistingFiles } from '../../../wire/messages.js';
export type { HeldBlock } from '../store/held-blocks.js';
export { removeStaleParts } from './stale-parts.js';

export class PartStore {
  /** Blocks that need not be received, ascending: of an earlier part, or of files that are there. */
  readonly held: readonly HeldBlock[];
  /** Blocks that lie wholly in files that are kept as they are: neither received nor verified. */
  readonly kept: readonly Range[];

  /** Bytes that are there, durable or not; those of kept files are not among them. */
  private readonly present: RangeSet;
  /** Bytes in the part that the journal does not note yet. */
  private written = new RangeSet();
  /** What the checkpoint under way is about to note. */
  private noting = new RangeSet();
  private readonly behind: WriteBehind;
  private readonly writing = new Map<Range, Promise<void>>();
  /** Bytes since the last checkpoint. */
  private newBytes = 0;
  private timer: NodeJS.Timeout | undefined;
  /** Checkpoints and all that changes the journal, one after another. */
  private queue: Promise<unknown> = Promise.resolve();
  /** The system may have dropped bytes that it had taken: only a new part knows what is there. */
  private failure: P2mpError | undefined;
  /** The first write that failed: its bytes are missing until somebody writes them again. */
  private writeFailure: unknown;
  /** Ends reading that nobody waits for any more. */
  private readonly stop = new AbortController();
  private ending: Promise<void> | undefined;

  private readonly openedAtMs = performance.now();

  private constructor(
    private readonly part: OpenedPart,
    private readonly checkpointBytes: number,
    private readonly checkpointMs: number,
    gatherMs: number | undefined,
    private readonly verifiesDisk: boolean,
  ) {
    this.behind = new WriteBehind((run) => this.writeRun(run), gatherMs);
    this.held = part.held;
    this.kept = part.kept;
    this.present = part.present;
    part.files.handleCopied = (file) => this.noteCopied(file);
  }

  /**
   * Checks the target folder and the names, makes or reopens the part, reads and hashes what is held.
   * @throws P2mpError TARGET_UNWRITABLE, TARGET_FAILED; the signal's reason
   */
  static async open(options: PartStoreOptions): Promise<PartStore> {
    const { checkpointBytes = 64 * 1024 * 1024, checkpointMs = 2000, gatherMs } = options;
    const { verifiesDisk = false } = options;
    const part = await openPart(options);
    return new PartStore(part, checkpointBytes, checkpointMs, gatherMs, verifiesDisk);
  }

  /**
   * Bytes at an offset of the content; they must not change until the promise is settled. Calls may
   * overlap in time, and complete in any order.
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
    // What the journal notes must not be in the middle of a change.
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

  /** The files that a block of the content is a part of. */
  namesAt(blockIndex: number): string[] {
    const { blockSizeBytes, layout } = this.part;
    const start = blockIndex * blockSizeBytes;
    return layout.namesAt(start, start + blockSizeBytes);
  }

  /** A held block was found bad: it will be written again; the journal forgets it at once. */
  async forget(blockIndex: number): Promise<void> {
    this.checkOpen();
    const { blockSizeBytes, layout } = this.part;
    const start = blockIndex * blockSizeBytes;
    const end = Math.min(start + blockSizeBytes, layout.sizeBytes);
    await this.forgetRange({ start, end });
  }

  /**
   * Makes everything written so far durable, and notes it.
   * @throws P2mpError TARGET_FAILED
   */
  async checkpoint(): Promise<void> {
    this.checkUsable();
    await this.enqueue(() => this.checkpointNow());
  }

  /**
   * Reads back what lies in the part and compares it with the digests: another process, or the disk, may have
   * changed it. Objects of more than 8 MiB are read only where that takes a small share of the time that they
   * took, and from memory, unless everything is to be verified.
   * @param leafOf the digest of a block
   * @returns the blocks that differ; undefined where the store was stopped meanwhile
   * @throws P2mpError TARGET_FAILED, also where an earlier write failed
   */
  async findDamage(leafOf: (block: number) => Uint8Array): Promise<number[] | undefined> {
    this.checkUsable();
    await this.settle();
    const { signal } = this.stop;
    // In the queue: the end waits for it, so that no file is opened after all were closed.
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
    const { files, layout, blockSizeBytes } = this.part;
    const ranges = new RangeSet();
    const keptRanges = new RangeSet();
    const add = (file: ContentFile) => {
      const { kind } = files.place(file);
      if (kind === 'part') addBlocks(ranges, file, blockSizeBytes);
      if (kind === 'kept') addBlocks(keptRanges, file, blockSizeBytes);
    };
    await forEachInTurns(layout.files, add, signal);
    // A kept file may hold anything, also in the blocks that it shares with its neighbours.
    for (const { start, end } of keptRanges.ranges()) ranges.remove(start, end);
    const sizeBytes = ranges.count * blockSizeBytes;
    const elapsedMs = performance.now() - this.openedAtMs;
    if (!this.verifiesDisk && !isCheapToReadBack(sizeBytes, elapsedMs)) return [];
    return findDamagedBlocks(files, [...ranges.ranges()], blockSizeBytes, leafOf, signal);
  }

  /**
   * All is verified: makes everything durable under its final names, then removes the part.
   * @throws P2mpError TARGET_FAILED, also where an earlier write failed; the part stays
   */
  async finish(): Promise<void> {
    this.checkUsable();
    await this.settle();
    await this.enqueue(() => this.finishNow());
    await this.end(true);
  }

  /** Stops; the part stays for a resume. What cannot be noted will be received again. */
  async suspend(): Promise<void> {
    if (this.ending !== undefined) return this.ending;
    this.stop.abort();
    await this.settle();
    if (this.failure === undefined) await this.checkpoint().catch(() => undefined);
    await this.end(false);
  }

  /** Stops, and removes the part. */
  async discard(): Promise<void> {
    await this.end(true);
  }

  private async writeRange(range: Range, parts: readonly Uint8Array[]): Promise<void> {
    const { files, layout } = this.part;
    const pieces = [...layout.pieces(range.start, range.end)];
    await forEachLimited(pieces, diskConcurrency, (piece) => {
      const from = startOf(piece) - range.start;
      return files.write(piece, slicesOf(parts, from, piece.sizeBytes));
    });
    for (const piece of pieces) this.notePresent(piece);
  }

  private notePresent(piece: Piece): void {
    const { kind } = this.part.files.place(piece.file);
    if (kind === 'kept') return;
    const [start, end] = [startOf(piece), startOf(piece) + piece.sizeBytes];
    this.present.add(start, end);
    // The bytes of a candidate are read anew by the next open.
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
    if (this.newBytes >= this.checkpointBytes) this.checkpointInBackground();
    this.timer ??= setTimeout(() => this.checkpointInBackground(), this.checkpointMs).unref();
  }

  private checkpointInBackground(): void {
    this.clearPlan();
    // What fails here fails the next write, or is tried again by the next checkpoint.
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

  /** Takes what was written whole; a write under way may be changing the same bytes once more. */
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
    await prepareFiles(this.part).catch((error: unknown) => this.fail(error));
    this.checkClosed();
    await syncFolder(paths.part).catch((error: unknown) => this.fail(error));
    // A crash among the renames must cost nothing.
    await this.noteTaken();
    await placeEntries(this.part);
  }

  /** Waits for what is under way. */
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
      throw fileError('TARGET_FAILED', this.part.paths.journal, error);
    });
  }

  /** @throws what the write of missing bytes failed with */
  private async checkWritten(signal?: AbortSignal): Promise<void> {
    const { layout, files } = this.part;
    const check = (file: ContentFile) => {
      if (files.place(file).kind === 'kept' || hasAll(this.present, file)) return;
      if (this.writeFailure !== undefined) throw this.writeFailure;
      assert(false, `${file.entry.name} is whole`);
    };
    await forEachInTurns(layout.files, check, signal);
  }

  private fail(error: unknown): never {
    this.failure = fileError('TARGET_FAILED', this.part.target.name, error);
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

/** Adds the blocks that the file has bytes in. */
function addBlocks(blocks: RangeSet, { start, end }: ContentFile, blockSizeBytes: number): void {
  if (start === end) return;
  blocks.add(Math.floor(start / blockSizeBytes), Math.ceil(end / blockSizeBytes));
}

function startOf({ file, offsetBytes }: Piece): number {
  return file.start + offsetBytes;
}
