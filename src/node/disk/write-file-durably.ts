/** Writes a file so that its name always stands for a whole file, also after a crash. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './fsync.js';

/** The end of the names of files that are being written; a process that is killed can leave such a file. */
export const unfinishedSuffix = '.unfinished';

/**
 * Writes a file beside its name and then renames it.
 * @param write writes the content
 */
export async function writeFileDurably(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const unfinished = `${path}.${randomBytes(4).toString('hex')}${unfinishedSuffix}`;
  try {
    const handle = await open(unfinished, 'wx', 0o600);
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}
