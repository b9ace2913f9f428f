/** What Node leaves to do on the way to a disk. */
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { constants, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const isWindows = process.platform === 'win32';

// Windows has none of these, nor the traps that they are against.
const { O_RDONLY, O_RDWR, O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = constants;

/** Never through a symbolic link, and never waiting for the other end of a pipe. */
export const openFlags = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  write: O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  /** To set mode and time, and to sync: on Windows that takes the right to write. */
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

/** Writes several pieces of memory, one behind the other. */
export async function writeParts(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  offsetBytes: number,
): Promise<void> {
  const { bytesWritten } = await handle.writev([...parts], offsetBytes);
  let skippedBytes = 0;
  for (const part of parts) {
    // A system that takes only a part of it takes the rest piece by piece, or says what is wrong.
    const doneBytes = Math.min(part.length, Math.max(0, bytesWritten - skippedBytes));
    if (doneBytes < part.length) {
      await writeAll(handle, part.subarray(doneBytes), offsetBytes + skippedBytes + doneBytes);
    }
    skippedBytes += part.length;
  }
}

/** A range of bytes that lie in several pieces of memory, as such. */
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

/** @returns false where the file ends before the buffer is full */
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
 * Makes a folder, and those that it lies in. Node's own way to do so never ends where the file system takes no
 * new folders, as /proc.
 * @returns the first that it made; undefined where the folder was there
 */
export async function makeFolders(path: string, mode = 0o777): Promise<string | undefined> {
  const missing: string[] = [];
  for (let folder = path; !(await isFolder(folder)); folder = dirname(folder)) missing.push(folder);
  for (const folder of missing.toReversed()) {
    await mkdir(folder, { mode }).catch(async (error: NodeJS.ErrnoException) => {
      // Others may have made it meanwhile.
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

/** Makes new names durable, where the system lets a folder be synced. */
export async function syncFolder(path: string): Promise<void> {
  if (isWindows) return;
  const handle = await open(path, constants.O_RDONLY | O_DIRECTORY);
  try {
    await syncOpenFolder(handle);
  } finally {
    await handle.close();
  }
}

/** What shares and disks in user space say that cannot sync a folder: names are in their own hands there. */
const unsyncableCodes = ['EINVAL', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP'];

export async function syncOpenFolder(handle: FileHandle): Promise<void> {
  await handle.sync().catch((error: NodeJS.ErrnoException) => {
    if (!unsyncableCodes.includes(error.code ?? '')) throw error;
  });
}

/** What tells whether a file is still the one, as it was. */
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

/** Of what a sender names, the permission bits alone: never setuid, setgid or sticky. */
export function permissionsOf(mode: number): number {
  return mode & 0o777;
}

/** Whole microseconds, those before 1970 too: the division of a BigInt cuts towards zero. */
export function microsecondsOf(timeNs: bigint): bigint {
  const restNs = ((timeNs % 1000n) + 1000n) % 1000n;
  return (timeNs - restNs) / 1000n;
}

/** Microseconds: what Node can set. */
export function toMicroseconds(timeMs: number): number {
  return Math.round(timeMs * 1000);
}

/** A time as `utimes` of Node takes it. */
export function toFileTime(timeMs: number): number | string {
  const timeUs = toMicroseconds(timeMs);
  // Node cuts off what is below a microsecond: half of one keeps rounding from taking a whole one.
  // Numbers below zero mean the present to it, but their text does not.
  return timeUs < 0 ? `${(timeUs - 0.5) / 1e6}` : (timeUs + 0.5) / 1e6;
}
