/** Handles of a session's files: what was used last stays open, within what all sessions may have open. */
import type { FileHandle } from 'node:fs/promises';
import type { FileBudget, FileKeeper } from './file-budget.js';

interface Slot {
  readonly opening: Promise<FileHandle>;
  userCount: number;
}

export class OpenFiles implements FileKeeper {
  /** By path; what was used last comes last. */
  private readonly slots = new Map<string, Slot>();
  private closeFailure: unknown;

  constructor(private readonly budget: FileBudget) {
    budget.enter(this);
  }

  /**
   * Lends the handle of a file, and keeps it open for the next one who asks.
   * `work` must not ask for another.
   */
  async use<T>(
    path: string,
    open: () => Promise<FileHandle>,
    work: (handle: FileHandle) => Promise<T>,
  ): Promise<T> {
    const slot = this.slots.get(path) ?? { opening: this.budget.take(this, open), userCount: 0 };
    slot.userCount++;
    this.touch(path, slot);
    try {
      return await work(await slot.opening);
    } finally {
      slot.userCount--;
      const isOpen = await slot.opening.then(
        () => true,
        () => false,
      );
      // A handle that could not be had must be asked for anew.
      if (!isOpen && this.slots.get(path) === slot) this.slots.delete(path);
      this.budget.wakeOne();
    }
  }

  /** What closing a file failed with: on some file systems, bytes that were taken are lost then. */
  get failure(): unknown {
    return this.closeFailure;
  }

  /** Lends a handle for once. */
  async useOnce<T>(
    open: () => Promise<FileHandle>,
    work: (handle: FileHandle) => Promise<T>,
  ): Promise<T> {
    const handle = await this.budget.take(this, open);
    try {
      return await work(handle);
    } finally {
      await this.closeCounted(handle);
    }
  }

  /** For work that opens one by itself. */
  async withRoom<T>(work: () => Promise<T>): Promise<T> {
    const result = await this.budget.take(this, work);
    this.budget.give();
    return result;
  }

  /** Closes the file; nobody may be using it. */
  async close(path: string): Promise<void> {
    const slot = this.slots.get(path);
    if (slot === undefined) return;
    this.slots.delete(path);
    await this.closeCounted(await slot.opening);
  }

  /** Closes the one that has not been used for longest; undefined where all are in use. */
  closeIdle(): Promise<void> | undefined {
    for (const [path, { userCount }] of this.slots) if (userCount === 0) return this.close(path);
    return undefined;
  }

  /** At the session's end; nobody may be using any. */
  async end(): Promise<void> {
    await this.closeAll();
    this.budget.leave(this);
  }

  /** Closes all; nobody may be using any. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.slots.keys()].map((path) => this.close(path)));
  }

  private touch(path: string, slot: Slot): void {
    this.slots.delete(path);
    this.slots.set(path, slot);
  }

  private async closeCounted(handle: FileHandle): Promise<void> {
    // Who needs the room is not the one whose bytes are lost.
    await this.budget.close(handle).catch((error: unknown) => {
      this.closeFailure ??= error;
    });
  }
}
