/** Where parts lie: in the target folder, hence on its disk, out of the way of what it is for. */

import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';
import { syncFolder } from '../fsync.js';
import { refuseUnlessFolder } from '../store/target-folder.js';

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
  for (let triesLeft = mostTries; ; triesLeft--) {
    try {
      await mkdir(path, { mode: 0o700 });
      await syncFolder(join(path, '..'));
      return;
    } catch (error) {
      const stats = await lstat(path).catch(() => undefined);
      if (stats !== undefined) {
        await keepPrivate(path, stats);
        return;
      }
      // It was there: whoever was the last to need it has taken it away.
      const wasThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
      if (!wasThere || triesLeft === 0) throw fileError('TARGET_UNWRITABLE', path, error);
    }
  }
}

/** Sessions come and go, but not as fast as a folder is made. */
const mostTries = 100;

/**
 * A folder that was there before: in one that many may write to, such as /tmp, somebody else may have made
 * it, to look at what comes or to lead it elsewhere. One of ours that was opened to others is closed again.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function keepPrivate(
  path: string,
  stats: Pick<Stats, 'uid' | 'mode' | 'isSymbolicLink' | 'isDirectory'>,
): Promise<void> {
  refuseUnlessFolder('TARGET_UNWRITABLE', path, stats);
  const { uid, mode } = stats;
  const ownUid = process.geteuid?.();
  // Windows has neither: who may do what there is inherited from the folder that it lies in.
  if (ownUid === undefined) return;
  if (uid === ownUid) {
    // Some disks have no modes; who mounted them decides.
    if ((mode & 0o077) !== 0) await chmod(path, 0o700).catch(() => undefined);
    return;
  }
  // On a share, this user may go by another number.
  if (uid === (await uidOfNewFile(dirname(path)))) return;
  const remedy = 'remove it, or choose another folder';
  throw new P2mpError('TARGET_UNWRITABLE', `${path}: belongs to user ${uid}; ${remedy}`);
}

async function uidOfNewFile(folder: string): Promise<number | undefined> {
  const path = join(folder, `${partsFolderName}-${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(path, 'wx', 0o600);
    try {
      return (await handle.stat()).uid;
    } finally {
      await handle.close();
      await rm(path, { force: true });
    }
  } catch {
    return undefined;
  }
}

/** Removes the folder of all parts with the last of them. */
export async function removeIfEmpty(path: string): Promise<void> {
  // Others may be receiving, or may have just taken it away.
  await rmdir(path).catch(() => undefined);
}
