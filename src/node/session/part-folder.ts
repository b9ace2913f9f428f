/** Where parts lie: in the target folder, hence on its disk, out of the way of what it is for. */
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { P2mpError } from '../../errors.js';
import { syncFolder } from '../disk.js';
import { fileError } from '../system-error.js';
import { refuseUnlessFolder } from './target-folder.js';

export const partsFolderName = '.p2mp-part';

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
    await keepPrivate(path, stats);
  }
}

/**
 * A folder that was there before: in one that many may write to, such as /tmp, somebody else may have made
 * it, to look at what comes or to lead it elsewhere. One of ours that was opened to others is closed again.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function keepPrivate(
  path: string,
  { uid, mode }: Pick<Stats, 'uid' | 'mode'>,
): Promise<void> {
  const ownUid = process.getuid?.();
  // Windows has neither: who may do what there is inherited from the folder that it lies in.
  if (ownUid === undefined) return;
  if (uid === ownUid) {
    // Some disks have no modes; who mounted them decides.
    if ((mode & 0o077) !== 0) await chmod(path, 0o700).catch(() => undefined);
    return;
  }
  // On a share all is one user's. Who owns the folder that it lies in could exchange it at any time.
  const outer = await stat(dirname(path)).catch(() => undefined);
  if (outer?.uid === uid) return;
  const remedy = 'remove it, or take another folder';
  throw new P2mpError('TARGET_UNWRITABLE', `${path}: belongs to user ${uid}; ${remedy}`);
}

/** Removes the folder of all parts with the last of them. */
export async function removeIfEmpty(path: string): Promise<void> {
  // Others may be receiving, or may have just taken it away.
  await rmdir(path).catch(() => undefined);
}
