/**
 * Handles of many files, a few at a time: what was used last stays open, and who finds all of them in
 * use waits.
 */
import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../assert.js';

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

  constructor(private readonly limit: number) {
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
    await this.makeRoom();
    try {
      return await work();
    } finally {
      this.giveRoom();
    }
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

  private async openCounted(open: () => Promise<FileHandle>): Promise<FileHandle> {
    await this.makeRoom();
    try {
      return await open();
    } catch (error) {
      this.giveRoom();
      throw error;
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
