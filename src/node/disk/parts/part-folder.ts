/** The folder of parts. It is in the target folder, so that it is on the same disk, but has a reserved name. */

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
  /** The folder of all parts. */
  readonly parts: string;
  readonly part: string;
  readonly lock: string;
  readonly journal: string;
}

/** @param folder the target folder */
export function partPaths(folder: string, objectId: string): PartPaths {
  const parts = join(folder, partsFolderName);
  const part = join(parts, objectId);
  return { parts, part, lock: `${part}.lock`, journal: join(part, 'journal') };
}

/** Whether an entry name would collide with the folder of parts, on any file system. */
export function isReservedName(entryName: string): boolean {
  const [first = ''] = entryName.split('/', 1);
  return first.toLowerCase() === partsFolderName;
}

/**
 * Creates a folder that only the owner can access, inside an existing folder.
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
      // The folder existed a moment ago, and its last user has removed it since.
      const wasThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
      if (!wasThere || triesLeft === 0) throw fileError('TARGET_UNWRITABLE', path, error);
    }
  }
}

/** Limits the attempts. Ending sessions may remove the folder, but not every time before it can be used. */
const mostTries = 100;

/**
 * Checks an existing folder. In a folder that many users may write to, such as /tmp, another user may have created it
 * to read the parts or to redirect them. If the folder is ours but others can access it, makes it private.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function keepPrivate(
  path: string,
  stats: Pick<Stats, 'uid' | 'mode' | 'isSymbolicLink' | 'isDirectory'>,
): Promise<void> {
  refuseUnlessFolder('TARGET_UNWRITABLE', path, stats);
  const { uid, mode } = stats;
  const ownUid = process.geteuid?.();
  // On Windows access rights are inherited from the parent folder.
  if (ownUid === undefined) return;
  if (uid === ownUid) {
    // Some file systems have no modes; the mount options decide.
    if ((mode & 0o077) !== 0) await chmod(path, 0o700).catch(() => undefined);
    return;
  }
  // On a network share, this user may have another ID.
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

/** Removes the folder of all parts if it is empty. */
export async function removeIfEmpty(path: string): Promise<void> {
  // Others may be using it, or may just have removed it.
  await rmdir(path).catch(() => undefined);
}
