/** Where parts lie: in the target folder, hence on its disk, out of the way of what it is for. */
import { lstat, mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../disk.js';
import { fileError } from '../system-error.js';
import { refuseUnlessFolder } from './target-folder.js';

const partsFolderName = '.p2mp-part';

export interface PartPaths {
  /** Of all parts. */
  readonly parts: string;
  readonly part: string;
  readonly lock: string;
  readonly journal: string;
}

/** @param folder that is the target */
export function partPaths(folder: string, objectId: string): PartPaths {
  const parts = join(folder, partsFolderName);
  const part = join(parts, objectId);
  return { parts, part, lock: `${part}.lock`, journal: join(part, 'journal') };
}

/** Whether an entry would lie among the parts, on any file system. */
export function isReservedName(entryName: string): boolean {
  const [first = ''] = entryName.split('/', 1);
  return first.toLowerCase() === partsFolderName;
}

/**
 * Makes a folder for the owner alone, in one that is there.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
    await syncFolder(join(path, '..'));
  } catch (error) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined) throw fileError('TARGET_UNWRITABLE', path, error);
    refuseUnlessFolder('TARGET_UNWRITABLE', path, stats);
  }
}

/** Removes the folder of all parts with the last of them. */
export async function removeIfEmpty(path: string): Promise<void> {
  // Others may be receiving, or may have just taken it away.
  await rmdir(path).catch(() => undefined);
}
