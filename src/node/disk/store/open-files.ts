/** File handles of a session: recently used files stay open, within the budget shared by all sessions. */
import type { FileHandle } from 'node:fs/promises';
import type { FileBudget, FileKeeper } from './file-budget.js';

interface Slot {
  readonly opening: Promise<FileHandle>;
  userCount: number;
}

export class OpenFiles implements FileKeeper {
  /** By path, least recently used first. */
  private readonly slots = new Map<string, Slot>();
  private closeFailure: unknown;

  constructor(private readonly budget: FileBudget) {
    budget.enter(this);
  }

  /**
   * Calls `work` with the handle of a file, then keeps the file open for the next call. `work` must not use
   * another file.
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
      // If opening failed, the next user must try again.
      if (!isOpen && this.slots.get(path) === slot) this.slots.delete(path);
      this.budget.wakeOne();
    }
  }

  /**
   * The first error from closing a file. On some file systems, such an error means that written data is lost.
   */
  get failure(): unknown {
    return this.closeFailure;
  }

  /** Lends a handle for a single use. */
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

  /** Reserves a place in the budget for work that opens a file itself. */
  async withRoom<T>(work: () => Promise<T>): Promise<T> {
    const result = await this.budget.take(this, work);
    this.budget.give();
    return result;
  }

  /** Closes the file, which must not be in use. */
  async close(path: string): Promise<void> {
    const slot = this.slots.get(path);
    if (slot === undefined) return;
    this.slots.delete(path);
    await this.closeCounted(await slot.opening);
  }

  /** Closes the least recently used idle file. Returns undefined if all files are in use. */
  closeIdle(): Promise<void> | undefined {
    for (const [path, { userCount }] of this.slots) if (userCount === 0) return this.close(path);
    return undefined;
  }

  /** Call this at the end of the session, when no file is in use. */
  async end(): Promise<void> {
    await this.closeAll();
    this.budget.leave(this);
  }

  /** Closes all files; none may be in use. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.slots.keys()].map((path) => this.close(path)));
  }

  private touch(path: string, slot: Slot): void {
    this.slots.delete(path);
    this.slots.set(path, slot);
  }

  private async closeCounted(handle: FileHandle): Promise<void> {
    // Record the error instead of throwing it: this session loses data, but the caller may be another session
    // that needs room.
    await this.budget.close(handle).catch((error: unknown) => {
      this.closeFailure ??= error;
    });
  }
}
