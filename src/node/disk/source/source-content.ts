/** The content of an object to send: its files one after another, a few of them open. */
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, stat } from 'node:fs/promises';
import { at } from '../../../base/assert.js';
import type { FileEntry } from '../../../object/manifest.js';
import type { WithdrawalReason } from '../../../wire/withdrawn.js';
import { forEachLimited } from '../../limited-concurrency.js';
import {
  changed,
  changedSize,
  endedEarly,
  readError,
  withdrawalReasonOf,
} from './source-errors.js';
import { modifiedMsOf } from './walk-entries.js';

/** The most files that one call opens at once. A read-ahead and another call can run concurrently. */
const openedAtOnce = 4;

/** The most idle files that stay open. At most 16 files are open, with those in use and standard input. */
const maxIdleFiles = 7;

const verifiedAtOnce = 32;

export interface SentFile {
  readonly entry: FileEntry;
  readonly path: string;
  readonly isGiven: boolean;
  /** Offset in the content. */
  readonly offsetBytes: number;
  /** Number in the manifest. */
  readonly entryIndex: number;
}

/** The files that can no longer be read, and are not needed either: zeros are read in their place. */
export interface LostFiles {
  has(file: SentFile): boolean;
  /** A file cannot be read. @returns whether it is lost, and not an error */
  take(file: SentFile, reason: WithdrawalReason): Promise<boolean>;
}

const noneLost: LostFiles = { has: () => false, take: async () => false };

/**
 * Called with the index of an open file after some of it was read, and before anybody sees these bytes. If it throws,
 * the read fails.
 */
export type CheckRead = (handle: FileHandle, fileIndex: number) => Promise<void>;

/** A part of one file, and the memory to read it into. */
interface Piece {
  readonly file: SentFile;
  readonly fileIndex: number;
  readonly fromBytes: number;
  readonly bytes: Uint8Array;
}

/** The concatenated files, a few of them open. */
export class Content {
  /** Open files that are not in use, least recently used first. */
  private readonly idle = new Map<SentFile, FileHandle>();

  constructor(
    private readonly files: readonly SentFile[],
    private readonly spool: FileHandle | undefined,
    private readonly checkRead?: CheckRead,
    private readonly lost: LostFiles = noneLost,
  ) {}

  async read(bytes: Uint8Array, offsetBytes: number): Promise<void> {
    await forEachLimited(this.piecesOf(bytes, offsetBytes), openedAtOnce, (piece) =>
      this.readPiece(piece),
    );
  }

  async verify(): Promise<void> {
    await forEachLimited(this.files, verifiedAtOnce, async (file) => {
      const { entry, path, isGiven } = file;
      if (this.isSpooled(file)) return;
      if (this.lost.has(file)) return;
      const stats = await (isGiven ? stat(path) : lstat(path)).catch((error: unknown) =>
        this.loseOrThrow(file, error),
      );
      if (stats === undefined) return;
      if (!stats.isFile()) {
        await this.loseOrThrow(file, changed(path, 'was replaced'), 'replaced');
      } else if (stats.size < entry.sizeBytes) {
        await this.loseOrThrow(file, changedSize(path, entry.sizeBytes, stats.size), 'shortened');
      } else if (stats.size !== entry.sizeBytes) {
        throw changedSize(path, entry.sizeBytes, stats.size);
      } else if (modifiedMsOf(stats) !== entry.modifiedMs) {
        throw changed(path, 'was written to');
      }
    });
  }

  async close(): Promise<void> {
    const handles = [...this.idle.values()];
    this.idle.clear();
    if (this.spool !== undefined) handles.push(this.spool);
    for (const handle of handles) await handle.close();
  }

  private piecesOf(bytes: Uint8Array, offsetBytes: number): Piece[] {
    const pieces: Piece[] = [];
    let count = 0;
    for (let i = this.indexAt(offsetBytes); count < bytes.length; i++) {
      const file = at(this.files, i);
      const fromBytes = offsetBytes + count - file.offsetBytes;
      const sizeBytes = Math.min(file.entry.sizeBytes - fromBytes, bytes.length - count);
      if (sizeBytes === 0) continue;
      pieces.push({
        file,
        fileIndex: i,
        fromBytes,
        bytes: bytes.subarray(count, count + sizeBytes),
      });
      count += sizeBytes;
    }
    return pieces;
  }

  /** Index of the file with the byte at this offset, skipping empty files. */
  private indexAt(offsetBytes: number): number {
    let low = 0;
    let high = this.files.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (at(this.files, middle).offsetBytes <= offsetBytes) low = middle;
      else high = middle;
    }
    return low;
  }

  private async readPiece(piece: Piece): Promise<void> {
    const { file, bytes } = piece;
    try {
      if (!this.lost.has(file)) await this.readOpened(piece);
    } catch (error) {
      await this.loseOrThrow(file, error);
    }
    if (this.lost.has(file)) bytes.fill(0);
  }

  private async readOpened(piece: Piece): Promise<void> {
    const { file, fileIndex, fromBytes, bytes } = piece;
    const handle = await this.take(file);
    try {
      await readFully(handle, piece);
      await this.checkRead?.(handle, fileIndex);
    } finally {
      await this.giveBack(file, handle, fromBytes + bytes.length === file.entry.sizeBytes);
    }
  }

  /** @throws the error for users, unless the file is not needed any more */
  private async loseOrThrow(
    file: SentFile,
    error: unknown,
    reason = withdrawalReasonOf(error),
  ): Promise<undefined> {
    if (this.lost.has(file)) return;
    const isLost = reason !== undefined && !this.isSpooled(file);
    if (!isLost || !(await this.lost.take(file, reason))) throw readError(file.path, error);
  }

  /** Opens a file exclusively until it is given back. */
  private async take(file: SentFile): Promise<FileHandle> {
    if (this.isSpooled(file)) return this.spool as FileHandle;
    const idle = this.idle.get(file);
    if (idle !== undefined) {
      this.idle.delete(file);
      return idle;
    }
    // The file may have been replaced in the meantime: by a pipe, which would block, or by a link to a secret.
    const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
    const flags = O_RDONLY | O_NONBLOCK | (file.isGiven ? 0 : O_NOFOLLOW);
    return open(file.path, flags);
  }

  private async giveBack(file: SentFile, handle: FileHandle, isAtEnd: boolean): Promise<void> {
    if (this.isSpooled(file)) return;
    // A file that was read to its end is hardly ever needed again, so small files never stay open.
    if (isAtEnd || this.idle.has(file)) {
      await handle.close();
      return;
    }
    this.idle.set(file, handle);
    const [oldest] = this.idle;
    if (this.idle.size <= maxIdleFiles || oldest === undefined) return;
    this.idle.delete(oldest[0]);
    await oldest[1].close();
  }

  /** A spooled file has no path, so nobody else can write to it. */
  private isSpooled(file: SentFile): boolean {
    return this.spool !== undefined && file.path === '-';
  }
}

async function readFully(handle: FileHandle, { file, fromBytes, bytes }: Piece): Promise<void> {
  let count = 0;
  while (count < bytes.length) {
    const { bytesRead } = await handle.read(bytes, count, bytes.length - count, fromBytes + count);
    if (bytesRead === 0) {
      const { size } = await handle.stat();
      throw endedEarly(file.path, file.entry.sizeBytes, size, fromBytes + count);
    }
    count += bytesRead;
  }
}
