/** A path that is served: its state, and whether it still is in that state. */
import { P2mpError } from '../../base/errors.js';
import { type IndexOptions, ObjectIndex } from '../disk/index/object-index.js';
import type { SkippedEntry } from '../disk/source/walk-entries.js';
import type { IndexProgress, OfferedObject, ReadFailure } from './object-catalogue.js';
import type { OfferedPath } from './offered-names.js';
import { ServedObject } from './served-object.js';

/** What a served path reports. */
export type ServedPathEvent =
  /** The path can be fetched in this state from now on. */
  | {
      readonly type: 'indexed';
      readonly object: ServedObject;
      /** How much was read; 0 if the index of an earlier run is still right. */
      readonly hashedBytes: number;
      readonly elapsedMs: number;
      /** Entries that are not offered. */
      readonly skipped: readonly SkippedEntry[];
    }
  /** The files have changed, or cannot be read. Sessions with this object must end. */
  | {
      readonly type: 'changed' | 'unreadable';
      readonly name: string;
      readonly object: ServedObject;
    }
  /** The path cannot be served now. Reported once for each reason. */
  | { readonly type: 'unservable'; readonly name: string; readonly error: P2mpError }
  /** The index works, but the next run has to make it again. */
  | { readonly type: 'unsaved'; readonly name: string; readonly error: P2mpError };

/** How long a path rests after a disk error. */
const restMs = 10_000;

export interface ServedPathOptions extends Pick<IndexOptions, 'folder' | 'schedule' | 'signal'> {
  readonly onEvent: (event: ServedPathEvent) => void;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

export class ServedPath {
  readonly name: string;
  readonly path: string;
  private readonly index: ObjectIndex;
  private object: ServedObject | undefined;
  private failure: P2mpError | undefined;
  private indexing: IndexProgress | undefined;
  /** The check that is going on. */
  private running: Promise<void> | undefined;
  private checkedAtMs = -Infinity;
  private checkTookMs = 0;

  constructor(
    { name, path }: OfferedPath,
    private readonly options: ServedPathOptions,
  ) {
    this.name = name;
    this.path = path;
    const { folder, schedule, signal } = options;
    this.index = new ObjectIndex(path, {
      ...(folder && { folder }),
      ...(schedule && { schedule }),
      ...(signal && { signal }),
      onProgress: (doneBytes, totalBytes) => {
        // The files have changed, so that nothing of the earlier state may be offered.
        if (this.indexing === undefined) this.endObject();
        this.indexing = { doneBytes, totalBytes };
      },
      onUnsaved: (error) => options.onEvent({ type: 'unsaved', name, error }),
    });
  }

  /** The state that can be fetched, as of the last check. */
  get current(): ServedObject | undefined {
    return this.object;
  }

  /** Why the path cannot be fetched. */
  get error(): P2mpError | undefined {
    return this.failure;
  }

  /** Undefined if no index is being made. */
  get progress(): IndexProgress | undefined {
    return this.indexing;
  }

  /**
   * Looks at the files, and indexes them again if they have changed. Looks that find nothing take at most half of the
   * time: if one has just ended, its result counts.
   */
  check(): Promise<void> {
    const { nowMs } = this.options;
    if (this.running === undefined) {
      if (nowMs() - this.checkedAtMs < this.checkTookMs) return Promise.resolve();
      this.running = this.refresh().finally(() => {
        this.running = undefined;
      });
    }
    return this.running;
  }

  /** A read of this object has failed. */
  handleReadFailure(object: OfferedObject, cause: ReadFailure): void {
    // One failure can be that of several reads.
    if (object !== this.object) return;
    const { onEvent, nowMs } = this.options;
    this.index.forget(cause === 'wrong-content');
    if (cause === 'wrong-content' || cause.code === 'SOURCE_CHANGED') {
      this.endObject();
      this.checkTookMs = 0;
      void this.check();
      return;
    }
    // The disk gets some rest before the next attempt.
    this.failure = cause;
    this.endObject();
    this.checkedAtMs = nowMs();
    this.checkTookMs = restMs;
    onEvent({ type: 'unservable', name: this.name, error: cause });
  }

  close(): void {
    this.object?.retire();
    this.object = undefined;
  }

  private async refresh(): Promise<void> {
    const { onEvent, nowMs, signal } = this.options;
    const startedAtMs = nowMs();
    try {
      const indexed = await this.index.refresh();
      this.failure = undefined;
      this.checkTookMs = nowMs() - startedAtMs;
      if (this.object?.index !== indexed) {
        this.checkTookMs = 0;
        this.endObject();
        this.object = new ServedObject(this.name, indexed);
        const elapsedMs = nowMs() - startedAtMs;
        const { hashedBytes, listed } = indexed;
        const { skipped } = listed.source;
        onEvent({ type: 'indexed', object: this.object, hashedBytes, elapsedMs, skipped });
      }
    } catch (error) {
      if (signal?.aborted === true) return;
      if (!(error instanceof P2mpError)) throw error;
      this.checkTookMs = 0;
      const isNew = this.failure?.message !== error.message;
      this.failure = error;
      this.endObject();
      if (isNew) onEvent({ type: 'unservable', name: this.name, error });
    } finally {
      this.indexing = undefined;
      this.checkedAtMs = nowMs();
    }
  }

  private endObject(): void {
    const { object, name } = this;
    if (object === undefined) return;
    this.object = undefined;
    object.retire();
    const isUnreadable = this.failure !== undefined;
    this.options.onEvent({ type: isUnreadable ? 'unreadable' : 'changed', name, object });
  }
}
