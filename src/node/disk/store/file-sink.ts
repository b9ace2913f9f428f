/**
 * Writes a received file: positional writes to a temporary file beside the final name, then fsync and rename.
 * The final name always refers to the complete old content or to the complete new content.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { access, constants, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { fileError, goneCodes, systemCode } from '../../system-error.js';
import { permissionsOf, syncFolder, writeAll } from '../fsync.js';
import { canHaveHoles, findHoles, writeAroundHoles } from '../holes.js';

/** Size of a write; an urgent write may be smaller. */
const chunkSizeBytes = 256 * 1024;

/** The target of a transfer, checked before a port is opened. */
export interface FileTarget {
  /** As given by the user. */
  readonly name: string;
  /** Absolute, with symbolic links resolved. */
  readonly path: string;
}

/** @throws P2mpError TARGET_UNWRITABLE */
export async function checkTarget(name: string): Promise<FileTarget> {
  const fail = (reason: string): never => {
    throw new P2mpError('TARGET_UNWRITABLE', `${name}: ${reason}`);
  };
  if (name === '' || name.endsWith('/')) fail('names a folder; name a file');
  const path = await realpath(name).catch(() => resolve(name));
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isDirectory()) fail('is a folder; name a file in it');
  if (stats !== undefined && !stats.isFile()) fail('is not a regular file; name another one');
  const folder = dirname(path);
  const folderStats = await stat(folder).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', folder, error);
  });
  if (!folderStats.isDirectory()) fail(`${folder} is not a folder; check the name`);
  await access(folder, constants.W_OK).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', folder, error);
  });
  return { name, path };
}

export interface FileSinkHandlers {
  /** Called when everything before this offset is written, but not durable yet. */
  readonly handleWritten: (writtenBytes: number) => void;
  readonly handleError: (error: P2mpError) => void;
}

export class FileSink {
  private readonly temporaryPath: string;
  private readonly hash = createHash('sha256');
  private handle: FileHandle | undefined;
  private chunks: Buffer[] = [];
  /** Number of bytes in the last chunk; all other chunks are full. */
  private lastLength = 0;
  private writtenBytes = 0;
  /** Whether long runs of zeros become holes. */
  private makesHoles = false;
  private hasHoles = false;
  private isUrgent = false;
  private isDiscarded = false;
  /** Serializes all disk work: opening, writing, finishing. */
  private work: Promise<void>;
  private isWriting = false;

  constructor(
    private readonly target: FileTarget,
    private readonly handlers: FileSinkHandlers,
  ) {
    const { path } = target;
    // Keep the temporary name short enough for any file system.
    const prefix = basename(path).slice(0, 48);
    const suffix = randomBytes(4).toString('hex');
    this.temporaryPath = join(dirname(path), `.${prefix}.${suffix}.part`);
    this.work = this.open().catch((error: unknown) => this.fail(error));
  }

  /** Appends bytes; copies them. */
  write(bytes: Uint8Array, isUrgent: boolean): void {
    this.isUrgent ||= isUrgent;
    let taken = 0;
    while (taken < bytes.length) {
      let chunk = this.chunks.at(-1);
      if (chunk === undefined || this.lastLength === chunk.length) {
        chunk = Buffer.allocUnsafeSlow(chunkSizeBytes);
        this.chunks.push(chunk);
        this.lastLength = 0;
      }
      const size = Math.min(chunk.length - this.lastLength, bytes.length - taken);
      chunk.set(bytes.subarray(taken, taken + size), this.lastLength);
      this.lastLength += size;
      taken += size;
    }
    if (this.hasWork()) this.startWriting();
  }

  /**
   * Writes the rest, makes the file durable and renames it to the final name.
   * @returns the SHA-256 of the written bytes, in hexadecimal
   * @throws P2mpError TARGET_FAILED; the final name is unchanged, and the temporary file is removed
   */
  async finish(): Promise<string> {
    this.isUrgent = true;
    this.startWriting();
    await this.work;
    const { handle } = this;
    if (handle === undefined || this.isDiscarded) {
      throw new P2mpError(
        'TARGET_FAILED',
        `${this.target.name}: the transfer was aborted before its end`,
      );
    }
    try {
      // Set the size explicitly, because a hole at the end does not extend the file.
      if (this.hasHoles) await handle.truncate(this.writtenBytes);
      await handle.sync();
      await handle.close();
      this.handle = undefined;
      await rename(this.temporaryPath, this.target.path);
      await syncFolder(dirname(this.target.path));
    } catch (error) {
      await this.discard();
      throw this.failure(error);
    }
    return this.hash.digest('hex');
  }

  /** Removes the temporary file. */
  async discard(): Promise<void> {
    this.isDiscarded = true;
    this.chunks = [];
    await this.work;
    const { handle } = this;
    this.handle = undefined;
    await handle?.close().catch(() => undefined);
    await rm(this.temporaryPath, { force: true }).catch((error: unknown) => {
      if (!goneCodes.has(systemCode(error))) throw error;
    });
  }

  private async open(): Promise<void> {
    this.makesHoles = await canHaveHoles(dirname(this.temporaryPath));
    this.handle = await open(this.temporaryPath, 'wx+', 0o666);
    const old = await stat(this.target.path).catch(() => undefined);
    // permissionsOf drops setuid and setgid: content from a stranger must not run with the owner's rights.
    if (old !== undefined) await this.handle.chmod(permissionsOf(old.mode));
  }

  private hasWork(): boolean {
    return this.chunks.length > 1 || (this.isUrgent && this.chunks.length > 0);
  }

  private startWriting(): void {
    if (this.isWriting || this.isDiscarded) return;
    this.isWriting = true;
    this.work = this.work
      .then(() => this.writeChunks())
      .catch((error: unknown) => this.fail(error));
  }

  private async writeChunks(): Promise<void> {
    try {
      await this.writeWaiting();
    } finally {
      this.isWriting = false;
    }
  }

  private async writeWaiting(): Promise<void> {
    while (this.hasWork() && !this.isDiscarded) {
      const [chunk] = this.chunks;
      const { handle } = this;
      if (chunk === undefined || handle === undefined) return;
      const isLast = this.chunks.length === 1;
      const bytes = isLast ? chunk.subarray(0, this.lastLength) : chunk;
      this.chunks.shift();
      this.isUrgent &&= !isLast;
      await this.writeAt(handle, bytes, this.writtenBytes);
      this.hash.update(bytes);
      this.writtenBytes += bytes.length;
      if (!this.isDiscarded) this.handlers.handleWritten(this.writtenBytes);
    }
  }

  private async writeAt(handle: FileHandle, bytes: Buffer, offsetBytes: number): Promise<void> {
    const holes = this.makesHoles ? findHoles([bytes], offsetBytes) : [];
    if (holes.length === 0) return writeAll(handle, bytes, offsetBytes);
    this.hasHoles = true;
    await writeAroundHoles(handle, [bytes], offsetBytes, holes, offsetBytes);
  }

  private fail(error: unknown): void {
    if (this.isDiscarded) return;
    this.isDiscarded = true;
    this.handlers.handleError(this.failure(error));
  }

  /** The folder existed at the start, and nobody else knows the temporary name. */
  private failure(error: unknown): P2mpError {
    const { name } = this.target;
    if (!goneCodes.has(systemCode(error))) return fileError('TARGET_FAILED', name, error);
    const what = 'somebody removed its folder, or what had arrived in it';
    const remedy = 'make sure that the folder exists, and send again';
    return new P2mpError('TARGET_FAILED', `${name}: ${what}; ${remedy}`, { cause: error });
  }
}
