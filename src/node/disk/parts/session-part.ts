/** The store of one session on disk: a part that is opened, filled and placed, one operation after another. */
import { P2mpError } from '../../../base/errors.js';
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import type {
  Completion,
  ContentStore,
  FoundContent,
  StoreRequest,
} from '../../../object/content-store.js';
import type { Extra } from '../../../wire/lists.js';
import type { WithdrawalReason } from '../../../wire/withdrawn.js';
import type { PartStore } from './part-store.js';

export interface SessionPartOptions {
  readonly request: StoreRequest;
  /**
   * @param handleNothing may be called before the part is open, if nothing of the object is there
   * @returns undefined if the signal aborts first; it may also throw then
   */
  readonly openPart: (
    signal: AbortSignal,
    handleNothing: () => void,
  ) => Promise<PartStore | undefined>;
  readonly handleFailure: (error: unknown) => void;
  /** A stored block is not the sender's: it was damaged, or is of an older version. */
  readonly handleBadBlock: (block: number, names: readonly string[]) => void;
  readonly handleEnd: (isComplete: boolean) => void;
}

export class SessionPart implements ContentStore {
  /** Resolves when this store has ended and all its work is done. */
  readonly done: Promise<void>;
  private resolveDone: () => void = () => undefined;
  private readonly abort = new AbortController();
  /** Resolves to undefined if the part could not be opened. */
  private part: Promise<PartStore | undefined> = Promise.resolve(undefined);
  /** Number of unfinished operations on the part, plus one until it ends. */
  private pendingCount = 1;

  constructor(private readonly options: SessionPartOptions) {
    this.done = new Promise<void>((resolve) => {
      this.resolveDone = resolve;
    });
  }

  open(handleFound: (found: FoundContent) => void): void {
    const { signal } = this.abort;
    let isAnswered = false;
    const opening = this.options.openPart(signal, () => {
      if (signal.aborted) return;
      isAnswered = true;
      handleFound({ held: [], kept: [], unchangedFiles: 0, extras: [] });
    });
    this.part = opening.catch(() => undefined);
    this.track(async () => {
      // If it has ended in the meantime, it does not matter whether the part could be opened.
      const part = await opening.catch((error: unknown) => {
        if (signal.aborted) return undefined;
        throw error;
      });
      if (part === undefined || signal.aborted) return;
      const { held, kept, unchangedCount: unchangedFiles, extras } = part;
      if (!isAnswered) handleFound({ held, kept, unchangedFiles, extras });
      // Blocks that were held after all are written again.
      else if (kept.length > 0) throw appeared();
    });
  }

  write(offsetBytes: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.track(async () => {
      const part = await this.part;
      try {
        await part?.write(offsetBytes, bytes);
      } finally {
        handleWritten();
      }
    });
  }

  withdraw(entries: ReadonlyMap<number, WithdrawalReason>, blocks: ReadonlyRangeSet): void {
    const numbers = new Set(entries.keys());
    this.use(async (part) => part.withdrawn.set(numbers, blocks));
  }

  forget(block: number): void {
    this.use(async (part) => {
      this.options.handleBadBlock(block, part.namesAt(block));
      await part.forget(block);
    });
  }

  verify(
    leafOf: (block: number) => Uint8Array,
    handleDamaged: (blocks: readonly number[]) => void,
  ): void {
    this.use(async (part) => {
      const damaged = await part.findDamage(leafOf);
      if (damaged !== undefined) handleDamaged(damaged);
    });
  }

  complete(doomed: Iterable<Extra>, handleCompleted: (completion: Completion) => void): void {
    this.use(async (part) => {
      const deletion = await part.finish(doomed);
      handleCompleted({ note: describeKept(part.keptCount), deletion });
    });
  }

  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array | undefined) => void) {
    this.track(async () => {
      const part = await this.part;
      take(await part?.read(offsetBytes, sizeBytes).catch(() => undefined));
    });
  }

  /** The part is checked as a whole before its files are placed. */
  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }

  end(isComplete: boolean): void {
    if (!isComplete) {
      this.abort.abort();
      this.use((part) => part.suspend());
    }
    this.endWork();
    this.options.handleEnd(isComplete);
  }

  /** Runs work on the part once it is open. Does nothing if the part could not be opened. */
  private use(work: (part: PartStore) => Promise<void>): void {
    this.track(async () => {
      const part = await this.part;
      if (part !== undefined) await work(part);
    });
  }

  private track(work: () => Promise<void>): void {
    this.pendingCount++;
    work()
      .catch((error: unknown) => this.options.handleFailure(error))
      .finally(() => this.endWork());
  }

  private endWork(): void {
    this.pendingCount--;
    if (this.pendingCount === 0) this.resolveDone();
  }
}

function appeared(): P2mpError {
  const message = 'files of this name have appeared in the meantime; fetch again';
  return new P2mpError('TARGET_FAILED', message);
}

/** @returns a note on files that were kept and not compared; empty if there are none */
export function describeKept(count: number): string {
  if (count === 0) return '';
  return `kept ${count} existing ${count === 1 ? 'file' : 'files'}, not compared with the sender's`;
}
