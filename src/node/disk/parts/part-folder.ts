/**
 * The folder of parts. It has a reserved name in the target folder, so that parts are on the same disk as the
 * final files.
 */

import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, open, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { fileError, goneCodes, systemCode } from '../../system-error.js';
import { syncFolder } from '../fsync.js';
import type { TargetFolder } from '../store/target-folder.js';
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
export function partPaths(folder: string, partId: string): PartPaths {
  const parts = join(folder, partsFolderName);
  const part = join(parts, partId);
  return { parts, part, lock: `${part}.lock`, journal: join(part, 'journal') };
}

/** Whether the first component of an entry name is the name of the folder of parts, ignoring case. */
export function isReservedName(entryName: string): boolean {
  const [first = ''] = entryName.split('/', 1);
  return first.toLowerCase() === partsFolderName;
}

/**
 * Whether a receiver may have made an entry of this name in its target folder, to keep parts or to try something out.
 * @param name without slashes
 */
export function isStateName(name: string): boolean {
  return /^\.p2mp-(?:part|probe)/i.test(name);
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
      // The folder existed when `mkdir` was called, but its last user has removed it since.
      const wasThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
      if (!wasThere || triesLeft === 0) throw fileError('TARGET_UNWRITABLE', path, error);
    }
  }
}

/**
 * Maximum number of retries. A session that is ending may remove the folder between attempts, but hardly this often.
 */
const mostTries = 100;

/**
 * Checks that an existing folder belongs to this user, and makes it private if other users can access it. In
 * a shared folder such as /tmp, another user might have created it to read the parts or to redirect them.
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
    // Ignore errors: on file systems without modes, the mount options decide who has access.
    if ((mode & 0o077) !== 0) await chmod(path, 0o700).catch(() => undefined);
    return;
  }
  // On a network share, this user may have another user ID.
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

/**
 * @param error of an operation in the part of an object, whose files nobody else may touch
 * @returns an error that names what happened if the part is gone; otherwise the same error
 */
export function orRemovedPart(target: TargetFolder, error: unknown): unknown {
  return goneCodes.has(systemCode(error)) ? removedPart(target, error) : error;
}

export function removedPart(target: TargetFolder, cause?: unknown): P2mpError {
  const shown = target.shown(partsFolderName);
  const remedy = 'send again, and leave this folder alone';
  return new P2mpError('TARGET_FAILED', `${shown}: somebody removed what had arrived; ${remedy}`, {
    cause,
  });
}

/** Removes the folder of all parts if it is empty. */
export async function removeIfEmpty(path: string): Promise<void> {
  // Ignore errors: another session may be using the folder, or may have just removed it.
  await rmdir(path).catch(() => undefined);
}
