/**
 * Handles of many files, a few at a time: what was used last stays open, and who finds all of them in
 * use waits.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../assert.js';

/** The process, or the host, has as many files open as it may. */
const scarceCodes = ['EMFILE', 'ENFILE'];

interface Slot {
  readonly opening: Promise<FileHandle>;
  userCount: number;
}

export class OpenFiles {
  /** By path; what was used last comes last. */
  private readonly slots = new Map<string, Slot>();
  /** Handles that are open, being opened or being closed. */
  private count = 0;
  private readonly waiting: (() => void)[] = [];
  private closeFailure: unknown;

  /** @param limit handles at once; it shrinks where the system allows fewer */
  constructor(private limit: number) {
    assert(limit >= 1, 'at least one file can be open');
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
    const slot = this.slots.get(path) ?? { opening: this.openCounted(open), userCount: 0 };
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
      this.wakeOne();
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
    const handle = await this.openCounted(open);
    try {
      return await work(handle);
    } finally {
      await this.closeCounted(handle);
    }
  }

  /** For work that opens one by itself. */
  async withRoom<T>(work: () => Promise<T>): Promise<T> {
    const result = await this.openCounted(work);
    this.giveRoom();
    return result;
  }

  /** Closes the file; nobody may be using it. */
  async close(path: string): Promise<void> {
    const slot = this.slots.get(path);
    if (slot === undefined) return;
    this.slots.delete(path);
    await this.closeCounted(await slot.opening);
  }

  /** Closes all; nobody may be using any. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.slots.keys()].map((path) => this.close(path)));
  }

  private touch(path: string, slot: Slot): void {
    this.slots.delete(path);
    this.slots.set(path, slot);
  }

  /** Counts a handle that `work` opens; it stays counted unless `work` fails. */
  private async openCounted<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.makeRoom();
      try {
        return await work();
      } catch (error) {
        this.giveRoom();
        const isScarce = scarceCodes.includes((error as NodeJS.ErrnoException).code ?? '');
        if (!isScarce || this.count === 0) throw error;
        // Others take the system's handles too: those that are open here have to do.
        this.limit = this.count;
      }
    }
  }

  /** On return, one more is counted. */
  private async makeRoom(): Promise<void> {
    while (this.count >= this.limit) {
      const idle = this.findIdle();
      if (idle === undefined) await new Promise<void>((resolve) => this.waiting.push(resolve));
      else await this.close(idle);
    }
    this.count++;
  }

  /** The one that has not been used for longest. */
  private findIdle(): string | undefined {
    for (const [path, { userCount }] of this.slots) if (userCount === 0) return path;
    return undefined;
  }

  private async closeCounted(handle: FileHandle): Promise<void> {
    // Who needs the room is not the one whose bytes are lost.
    await handle.close().catch((error: unknown) => {
      this.closeFailure ??= error;
    });
    this.giveRoom();
  }

  private giveRoom(): void {
    this.count--;
    this.wakeOne();
  }

  private wakeOne(): void {
    this.waiting.shift()?.();
  }
}
