/**
 * Reads the sent file exactly once, from start to end, with bounded read-ahead, and hashes it meanwhile. Memory
 * use does not depend on the file size.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { assert } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';
import { checkSize } from './reported-size.js';

/** Size of a read. Two such chunks are in memory at a time. */
const chunkSizeBytes = 1024 * 1024;

interface Chunk {
  readonly offsetBytes: number;
  readonly bytes: Buffer;
}

export class FileSource {
  readonly sizeBytes: number;
  private readonly modifiedMs: number;
  private readonly hash = createHash('sha256');
  private readonly chunkSizeBytes: number;
  /** The chunk that `take` returns blocks from. */
  private current: Chunk | undefined;
  /** The chunk read ahead. */
  private next: Chunk | undefined;
  private readOffsetBytes = 0;
  private reading: Promise<void> | undefined;

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    stats: { readonly size: number; readonly mtimeMs: number },
    blockSizeBytes: number,
    private readonly handleReady: () => void,
    private readonly handleError: (error: P2mpError) => void,
  ) {
    this.sizeBytes = stats.size;
    this.modifiedMs = stats.mtimeMs;
    // A chunk consists of whole blocks, so that no block spans two chunks.
    const blocks = Math.max(1, Math.floor(chunkSizeBytes / blockSizeBytes));
    this.chunkSizeBytes = Math.min(blocks * blockSizeBytes, Math.max(1, stats.size));
    this.readAhead();
  }

  /**
   * @param blockSizeBytes size of every block that `take` returns, except the last
   * @param handleReady called each time more blocks are ready for `take`
   * @throws P2mpError SOURCE_UNREADABLE
   */
  static async open(
    path: string,
    blockSizeBytes: number,
    handleReady: () => void,
    handleError: (error: P2mpError) => void,
  ): Promise<FileSource> {
    let handle: FileHandle | undefined;
    try {
      // Without O_NONBLOCK, opening a pipe would block until it has a writer.
      handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const { stats, fault } = await checkSize(handle);
      if (stats.isDirectory()) {
        throw new P2mpError('SOURCE_UNREADABLE', `${path}: is a folder; name a file`);
      }
      if (!stats.isFile()) {
        throw new P2mpError(
          'SOURCE_UNREADABLE',
          `${path}: is not a regular file; copy its content to a regular file and send that`,
        );
      }
      if (fault !== undefined) {
        throw new P2mpError(
          'SOURCE_UNREADABLE',
          `${path}: ${fault}; copy its content to a file and send that: cat ${path} > copy`,
        );
      }
      return new FileSource(path, handle, stats, blockSizeBytes, handleReady, handleError);
    } catch (error) {
      await handle?.close();
      throw fileError('SOURCE_UNREADABLE', path, error);
    }
  }

  /**
   * Returns the next block; offsets must be consecutive.
   * @returns a view that is valid until the next call, or undefined while the block is being read
   */
  take(offsetBytes: number, sizeBytes: number): Uint8Array | undefined {
    const { current, next } = this;
    const start = current === undefined ? 0 : offsetBytes - current.offsetBytes;
    if (current !== undefined && start + sizeBytes <= current.bytes.length) {
      return current.bytes.subarray(start, start + sizeBytes);
    }
    if (next === undefined) return undefined;
    assert(next.offsetBytes === offsetBytes, 'blocks are taken in order');
    this.current = next;
    this.next = undefined;
    this.readAhead(current?.bytes);
    return next.bytes.subarray(0, sizeBytes);
  }

  /**
   * @throws P2mpError SOURCE_CHANGED if the size or modification time has changed since the file was opened
   */
  async verify(): Promise<void> {
    const { size, mtimeMs } = await this.handle.stat();
    if (size !== this.sizeBytes || mtimeMs !== this.modifiedMs) throw this.changed(size);
  }

  /** SHA-256 of the whole file in hexadecimal, once all of it was read. */
  digest(): string | undefined {
    return this.readOffsetBytes === this.sizeBytes ? this.hash.copy().digest('hex') : undefined;
  }

  async close(): Promise<void> {
    await this.reading;
    await this.handle.close();
  }

  private readAhead(spare?: Buffer): void {
    const size = Math.min(this.chunkSizeBytes, this.sizeBytes - this.readOffsetBytes);
    if (size === 0) return;
    const buffer = spare ?? Buffer.allocUnsafeSlow(this.chunkSizeBytes);
    this.reading = this.readChunk(buffer.subarray(0, size)).then(
      () => this.handleReady(),
      (error: unknown) => this.handleError(fileError('SOURCE_UNREADABLE', this.path, error)),
    );
  }

  private async readChunk(bytes: Buffer): Promise<void> {
    const offsetBytes = this.readOffsetBytes;
    let count = 0;
    while (count < bytes.length) {
      const { bytesRead } = await this.handle.read(
        bytes,
        count,
        bytes.length - count,
        offsetBytes + count,
      );
      if (bytesRead === 0) throw this.changed(offsetBytes + count);
      count += bytesRead;
    }
    this.hash.update(bytes);
    this.readOffsetBytes += bytes.length;
    this.next = { offsetBytes, bytes };
  }

  private changed(sizeBytes: number): P2mpError {
    const how =
      sizeBytes === this.sizeBytes
        ? 'was written to'
        : `went from ${this.sizeBytes} to ${sizeBytes} bytes`;
    return new P2mpError(
      'SOURCE_CHANGED',
      `${this.path}: ${how} while it was being sent; send it again once nothing writes to it`,
    );
  }
}
