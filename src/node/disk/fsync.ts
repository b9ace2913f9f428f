/** File operations that Node does not offer. */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { constants, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const isWindows = process.platform === 'win32';

// Windows has no O_NOFOLLOW, O_NONBLOCK or O_DIRECTORY and does not need them.
const { O_RDONLY, O_RDWR, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = constants;

/** Flags for `open`. None of them lets `open` follow a symbolic link or block on a pipe. */
export const openFlags = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  write: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  /** To set the mode or times of a file, or to sync it. On Windows, all of this requires write access. */
  attributes: (isWindows ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK,
  folder: O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
} as const;

export async function writeAll(
  handle: FileHandle,
  bytes: Uint8Array,
  offsetBytes: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done;
    const { bytesWritten } = await handle.write(bytes, done, left, offsetBytes + done);
    done += bytesWritten;
  }
}

/** Writes several buffers consecutively. */
export async function writeParts(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  offsetBytes: number,
): Promise<void> {
  const { bytesWritten } = await handle.writev([...parts], offsetBytes);
  let skippedBytes = 0;
  for (const part of parts) {
    // After a short write, write the rest buffer by buffer. If the cause was an error, such as a full disk,
    // it occurs again and is thrown.
    const doneBytes = Math.min(part.length, Math.max(0, bytesWritten - skippedBytes));
    if (doneBytes < part.length) {
      await writeAll(handle, part.subarray(doneBytes), offsetBytes + skippedBytes + doneBytes);
    }
    skippedBytes += part.length;
  }
}

/** Cuts a byte range out of consecutive buffers. Returns slices of the buffers; copies nothing. */
export function slicesOf(
  parts: readonly Uint8Array[],
  fromBytes: number,
  sizeBytes: number,
): Uint8Array[] {
  const slices: Uint8Array[] = [];
  let start = fromBytes;
  let leftBytes = sizeBytes;
  for (const part of parts) {
    if (leftBytes === 0) break;
    if (start >= part.length) {
      start -= part.length;
      continue;
    }
    const slice = part.subarray(start, start + leftBytes);
    slices.push(slice);
    leftBytes -= slice.length;
    start = 0;
  }
  return slices;
}

/** @returns false if the file ends before the buffer is full */
export async function readAll(
  handle: FileHandle,
  bytes: Uint8Array,
  offsetBytes: number,
): Promise<boolean> {
  for (let done = 0; done < bytes.length; ) {
    const left = bytes.length - done;
    const { bytesRead } = await handle.read(bytes, done, left, offsetBytes + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/**
 * Creates a folder and its parents. Node's recursive `mkdir` never returns on file systems that allow no new
 * folders, such as /proc.
 * @returns the topmost folder that was created; undefined if the folder existed
 */
export async function makeFolders(path: string, mode = 0o777): Promise<string | undefined> {
  const missing: string[] = [];
  for (let folder = path; !(await isFolder(folder)); folder = dirname(folder)) missing.push(folder);
  for (const folder of missing.toReversed()) {
    await mkdir(folder, { mode }).catch(async (error: NodeJS.ErrnoException) => {
      // Another process may have created the folder in the meantime.
      if (error.code !== 'EEXIST' || !(await isFolder(folder))) throw error;
    });
  }
  return missing.at(-1);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Makes new names in a folder durable, if the system can sync folders. */
export async function syncFolder(path: string): Promise<void> {
  if (isWindows) return;
  const handle = await open(path, constants.O_RDONLY | O_DIRECTORY);
  try {
    await syncOpenFolder(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Errors from network shares and FUSE file systems that cannot sync folders. Such file systems make names
 * durable on their own.
 */
const unsyncableCodes = ['EINVAL', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP'];

export async function syncOpenFolder(handle: FileHandle): Promise<void> {
  await handle.sync().catch((error: NodeJS.ErrnoException) => {
    if (!unsyncableCodes.includes(error.code ?? '')) throw error;
  });
}

/** Identifies a file and its state, to detect changes. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): FileIdentity {
  return { dev, ino, size, mtimeNs };
}

export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

/** Returns the permission bits of a mode, without setuid, setgid and sticky. */
export function permissionsOf(mode: number): number {
  return mode & 0o777;
}

/** Converts to whole microseconds. Rounds down even before 1970, where BigInt division would round up. */
export function microsecondsOf(timeNs: bigint): bigint {
  const restNs = ((timeNs % 1000n) + 1000n) % 1000n;
  return (timeNs - restNs) / 1000n;
}

/** Converts to whole microseconds, the finest resolution in which Node sets file times. */
export function toMicroseconds(timeMs: number): number {
  return Math.round(timeMs * 1000);
}

/** A time in the form that Node's `utimes` accepts. */
export function toFileTime(timeMs: number): number | string {
  const timeUs = toMicroseconds(timeMs);
  // Node truncates times to microseconds. Adding half a microsecond prevents rounding errors from lowering
  // the result by a whole microsecond. Negative times are passed as strings, because Node replaces negative
  // numbers with the current time.
  return timeUs < 0 ? `${(timeUs - 0.5) / 1e6}` : (timeUs + 0.5) / 1e6;
}

/** Whether a file or folder has the same modification time as the sender's, to the microsecond. */
export function isTimeRight(
  { mtimeNs }: Pick<BigIntStats, 'mtimeNs'>,
  { modifiedMs }: { readonly modifiedMs: number },
): boolean {
  return microsecondsOf(mtimeNs) === BigInt(toMicroseconds(modifiedMs));
}
