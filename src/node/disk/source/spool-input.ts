/**
 * Copies standard input to a temporary file, because the size must be known in advance and lost data must be
 * read again. The name of the file is removed immediately, so the file disappears however the process ends.
 */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileError } from '../../system-error.js';

export interface SpooledInput {
  /** The caller must close it. */
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

/**
 * Reads the input to its end.
 * @throws P2mpError SOURCE_UNREADABLE; the signal's reason after it aborts
 */
export async function spoolInput(
  input: NodeJS.ReadableStream,
  signal?: AbortSignal,
): Promise<SpooledInput> {
  const folder = tmpdir();
  const handle = await openUnnamed(folder);
  const write = async (chunks: AsyncIterable<Uint8Array | string>) => {
    for await (const chunk of chunks) {
      await handle.appendFile(chunk).catch((error: unknown) => {
        throw spoolError(folder, error);
      });
    }
  };
  try {
    await pipeline(input, write, signal === undefined ? {} : { signal });
    const { size } = await handle.stat();
    return { handle, sizeBytes: size };
  } catch (error) {
    await handle.close();
    signal?.throwIfAborted();
    throw fileError('SOURCE_UNREADABLE', 'standard input', error);
  }
}

async function openUnnamed(folder: string): Promise<FileHandle> {
  const path = join(folder, `p2mp-${randomBytes(8).toString('hex')}`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return handle;
  } catch (error) {
    await handle?.close();
    throw spoolError(folder, error);
  }
}

function spoolError(folder: string, error: unknown): Error {
  const where = `${folder} (holds standard input until it is sent; set TMPDIR to use another folder)`;
  return fileError('SOURCE_UNREADABLE', where, error);
}
