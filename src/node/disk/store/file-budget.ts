/**
 * How many files all sessions of a receiver may have open together. Who needs one more has an idle one
 * closed, his own or another session's; who finds all of them in use waits.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../../base/assert.js';

/** The process, or the host, has as many files open as it may. */
const scarceCodes = ['EMFILE', 'ENFILE'];

/** Keeps files open that nobody uses. */
export interface FileKeeper {
  /** Closes the one that has not been used for longest; undefined where all are in use. */
  closeIdle: () => Promise<void> | undefined;
}

export class FileBudget {
  private readonly keepers = new Set<FileKeeper>();
  private limit: number;
  /** Files that are open, being opened or being closed; those that stay open until a session ends, too. */
  private count = 0;
  private lastingCount = 0;
  private readonly waiting: (() => void)[] = [];

  /** @param maxCount files at once; where the system allows fewer, fewer until all are closed */
  constructor(private readonly maxCount: number) {
    assert(maxCount >= 1, 'at least one file can be open');
    this.limit = maxCount;
  }

  /** From now until `leave`, its idle files are closed where another needs the room. */
  enter(keeper: FileKeeper): void {
    this.keepers.add(keeper);
  }

  leave(keeper: FileKeeper): void {
    this.keepers.delete(keeper);
  }

  /** Counts a file that `open` opens, until `give`; not counted where `open` fails. */
  async take<T>(keeper: FileKeeper, open: () => Promise<T>): Promise<T> {
    return this.counted(open, async () => {
      while (this.isFull) {
        const closing = this.closeIdle(keeper);
        if (closing === undefined) await this.awaitRoom();
        else await closing;
      }
      // At once: whoever looks next must see it.
      this.count++;
    });
  }

  /** A file that stays open for a session; it waits for no other session. */
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

  /** Closes the file, and gives its room to another. */
  async close(handle: FileHandle): Promise<void> {
    try {
      await handle.close();
    } finally {
      this.give();
    }
  }

  /** A file is idle, or closed. */
  wakeOne(): void {
    this.waiting.shift()?.();
  }

  /** Files that stay open take the room of others, but for one: else all would wait for ever. */
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
        // The rest of the process takes the system's handles, too: those that are open here have to do.
        this.limit = Math.min(this.limit, this.count);
        if (this.closeIdle() === undefined) await this.awaitRoom();
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
