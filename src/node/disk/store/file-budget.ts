/**
 * The budget of open files shared by all sessions of a receiver. When a session needs another file, an idle file of
 * this or another session is closed. If all files are in use, the session waits.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../../base/assert.js';

/** Errors that mean that the process or the host has reached its limit of open files. */
const scarceCodes = ['EMFILE', 'ENFILE'];

/** Holds idle open files. */
export interface FileKeeper {
  /** Closes the least recently used idle file. Returns undefined if all files are in use. */
  closeIdle: () => Promise<void> | undefined;
}

export class FileBudget {
  private readonly keepers = new Set<FileKeeper>();
  private limit: number;
  /** Files that are open, being opened or being closed, including those that stay open for a whole session. */
  private count = 0;
  private lastingCount = 0;
  private readonly waiting: (() => void)[] = [];

  /**
   * @param maxCount limit of open files; if the system allows fewer, the limit is lower until all files are
   * closed
   */
  constructor(private readonly maxCount: number) {
    assert(maxCount >= 1, 'at least one file can be open');
    this.limit = maxCount;
  }

  /** From now until `leave`, idle files of this keeper may be closed to make room. */
  enter(keeper: FileKeeper): void {
    this.keepers.add(keeper);
  }

  leave(keeper: FileKeeper): void {
    this.keepers.delete(keeper);
  }

  /**
   * Waits for room, then opens a file, which counts until `give` is called. If `open` fails, nothing is
   * counted.
   */
  async take<T>(keeper: FileKeeper, open: () => Promise<T>): Promise<T> {
    return this.counted(open, async () => {
      while (this.isFull) await (this.closeIdle(keeper) ?? this.awaitRoom());
      // Increment without an await after the check, so that the next caller sees the new count.
      this.count++;
    });
  }

  /**
   * Opens a file that stays open for a whole session. Does not wait until other files are closed, unless the
   * system has no descriptor left.
   */
  async takeLasting<T>(open: () => Promise<T>): Promise<T> {
    const opened = await this.counted(open, async () => {
      if (this.isFull) await this.closeIdle();
      this.count++;
    });
    this.lastingCount++;
    return opened;
  }

  give(): void {
    this.count--;
    if (this.count === 0) this.limit = this.maxCount;
    this.wakeOne();
  }

  giveLasting(): void {
    this.lastingCount--;
    this.give();
  }

  /** Closes the file and makes room for another. */
  async close(handle: FileHandle): Promise<void> {
    try {
      await handle.close();
    } finally {
      this.give();
    }
  }

  /** Call this when a file became idle. */
  wakeOne(): void {
    this.waiting.shift()?.();
  }

  /**
   * Files that stay open for a session may use up the limit, but one place remains for other files.
   * Otherwise, all sessions would wait forever.
   */
  private get isFull(): boolean {
    return this.count - this.lastingCount >= Math.max(1, this.limit - this.lastingCount);
  }

  private async counted<T>(open: () => Promise<T>, countOne: () => Promise<void>): Promise<T> {
    for (;;) {
      await countOne();
      try {
        return await open();
      } catch (error) {
        this.give();
        const isScarce = scarceCodes.includes((error as NodeJS.ErrnoException).code ?? '');
        const othersCount = this.count - this.lastingCount;
        if (!isScarce || othersCount === 0) throw error;
        // Other parts of the process use descriptors too, so the number of files open now becomes the limit.
        this.limit = Math.min(this.limit, this.count);
        await (this.closeIdle() ?? this.awaitRoom());
      }
    }
  }

  private awaitRoom(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private closeIdle(own?: FileKeeper): Promise<void> | undefined {
    const closing = own?.closeIdle();
    if (closing !== undefined) return closing;
    for (const keeper of this.keepers) {
      const other = keeper.closeIdle();
      if (other !== undefined) return other;
    }
    return undefined;
  }
}
