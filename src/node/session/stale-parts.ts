/** Parts that nobody came back for. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { P2mpError } from '../../errors.js';
import { fileError } from '../system-error.js';
import { keepPrivate, makePrivateFolder, partPaths, removeIfEmpty } from './part-folder.js';
import { PartLock } from './part-lock.js';

/**
 * Removes parts whose journal has not changed for that long, and that no process is receiving.
 * @returns the objects whose parts were removed
 * @throws P2mpError TARGET_FAILED, TARGET_UNWRITABLE
 */
export async function removeStaleParts(dir: string, olderThanMs: number): Promise<string[]> {
  const { parts } = partPaths(dir, '');
  const removed: string[] = [];
  try {
    const stats = await lstat(parts).catch(() => undefined);
    if (stats === undefined) return [];
    await keepPrivate(parts, stats);
    const changedBeforeMs = Date.now() - olderThanMs;
    const names = await readdir(parts);
    for (const name of names.filter(isUnfinishedLock)) {
      if (await isOlder([join(parts, name)], changedBeforeMs)) await rm(join(parts, name));
    }
    for (const objectId of objectsOf(names)) {
      if (await removeIfStale(dir, objectId, changedBeforeMs)) removed.push(objectId);
    }
    await removeIfEmpty(parts);
  } catch (error) {
    throw fileError('TARGET_FAILED', parts, error);
  }
  return removed;
}

/** Left by a process that was killed while it took a lock, or took one over. */
function isUnfinishedLock(name: string): boolean {
  return /^[0-9a-f]{64}\.lock(?:\.[0-9a-f]{12})+$/.test(name);
}

/** Those that have a part, or a lock at least. */
function objectsOf(names: readonly string[]): Set<string> {
  const ids = names.map((name) => /^([0-9a-f]{64})(?:\.lock)?$/.exec(name)?.[1]);
  return new Set(ids.filter((id) => id !== undefined));
}

async function removeIfStale(
  dir: string,
  objectId: string,
  changedBeforeMs: number,
): Promise<boolean> {
  const { parts, part, lock, journal } = partPaths(dir, objectId);
  if (!(await isOlder([journal, part, lock], changedBeforeMs))) return false;
  const held = await PartLock.acquire(lock, () => makePrivateFolder(parts), part).catch(
    (error: unknown) => {
      if (error instanceof P2mpError) return undefined;
      throw error;
    },
  );
  if (held === undefined) return false;
  try {
    // Somebody may have gone on with it, and stopped again, just now.
    if (!(await isOlder([journal, part], changedBeforeMs))) return false;
    await rm(part, { recursive: true, force: true });
    return true;
  } finally {
    await held.release();
  }
}

/** @param paths of which the first that is there counts */
async function isOlder(paths: readonly string[], changedBeforeMs: number): Promise<boolean> {
  for (const path of paths) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats !== undefined) return stats.mtimeMs <= changedBeforeMs;
  }
  return false;
}
