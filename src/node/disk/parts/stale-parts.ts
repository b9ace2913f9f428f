/** Removes parts that are unlikely to be continued. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';
import { keepPrivate, makePrivateFolder, partPaths, removeIfEmpty } from './part-folder.js';
import { PartLock } from './part-lock.js';
import { readOrigin } from './part-origin.js';
import { removePartFolder } from './remove-part.js';

const dayMs = 24 * 3600 * 1000;
const defaultKeepPartsMs = 14 * dayMs;

/**
 * Removes parts whose journal has not changed for this long, except those that a process is receiving.
 * @returns the names of the removed parts
 * @throws P2mpError TARGET_FAILED, TARGET_UNWRITABLE
 */
export async function removeStaleParts(
  dir: string,
  olderThanMs = defaultKeepPartsMs,
): Promise<string[]> {
  const changedBeforeMs = Date.now() - olderThanMs;
  return amongParts(dir, async (parts, names) => {
    for (const name of names.filter(isUnfinishedLock)) {
      if (await isOlder([join(parts, name)], changedBeforeMs)) await rm(join(parts, name));
    }
    const removed: string[] = [];
    for (const id of idsAmong(names)) {
      const { part, lock, journal } = partPaths(dir, id);
      if (!(await isOlder([journal, part, lock], changedBeforeMs))) continue;
      // Check again while the lock is held: another process may just have continued the part and stopped
      // again.
      const isStale = () => isOlder([journal, part], changedBeforeMs);
      if (await removeIdlePart(dir, id, isStale)) removed.push(id);
    }
    return removed;
  });
}

/**
 * Removes one part unless a process is receiving it.
 * @throws P2mpError TARGET_FAILED, TARGET_UNWRITABLE
 */
export async function removePart(dir: string, id: string): Promise<void> {
  await amongParts(dir, async (_, names) => {
    if (names.includes(id)) await removeIdlePart(dir, id, async () => true);
    return [];
  });
}

/** What the cleanup needs to know about a part. */
export interface SenderPart {
  readonly id: string;
  readonly lastKey: string;
  readonly label: string;
  readonly changedAtMs: number;
}

/**
 * Lists the parts of one sender, whether or not a process is receiving them.
 * @param isSkipped whether to leave out a part; the disk is not accessed for such a part
 * @throws P2mpError TARGET_FAILED, TARGET_UNWRITABLE
 */
export async function listPartsOf(
  dir: string,
  senderKey: string,
  isSkipped: (id: string) => boolean,
): Promise<SenderPart[]> {
  return amongParts(dir, async (_, names) => {
    const found: SenderPart[] = [];
    for (const id of idsAmong(names)) {
      if (isSkipped(id)) continue;
      const { part, journal } = partPaths(dir, id);
      const origin = await readOrigin(part);
      if (origin?.senderKey !== senderKey) continue;
      const stats = await lstat(journal).catch(() => undefined);
      const { lastKey, label } = origin;
      found.push({ id, lastKey, label, changedAtMs: stats?.mtimeMs ?? 0 });
    }
    return found;
  });
}

async function amongParts<T>(
  dir: string,
  work: (parts: string, names: readonly string[]) => Promise<T[]>,
): Promise<T[]> {
  const { parts } = partPaths(dir, '');
  try {
    const stats = await lstat(parts).catch(() => undefined);
    if (stats === undefined) return [];
    await keepPrivate(parts, stats);
    const result = await work(parts, await readdir(parts));
    await removeIfEmpty(parts);
    return result;
  } catch (error) {
    // Another process has just removed the last part and the folder of parts.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError('TARGET_FAILED', parts, error);
  }
}

/** Whether the file was left by a process that was killed while it acquired or took over a lock. */
function isUnfinishedLock(name: string): boolean {
  return /^[0-9a-f]{64}\.lock(?:\.[0-9a-f]{12})+$/.test(name);
}

/** IDs of the parts, and of the locks that have no part. */
function idsAmong(names: readonly string[]): Set<string> {
  const ids = names.map((name) => /^([0-9a-f]{64})(?:\.lock)?$/.exec(name)?.[1]);
  return new Set(ids.filter((id) => id !== undefined));
}

/** @param isToGo decides whether to remove the part, while the lock is held */
async function removeIdlePart(
  dir: string,
  id: string,
  isToGo: () => Promise<boolean>,
): Promise<boolean> {
  const { parts, part, lock } = partPaths(dir, id);
  const held = await PartLock.acquire(lock, () => makePrivateFolder(parts), part).catch(
    (error: unknown) => {
      if (error instanceof P2mpError) return undefined;
      throw error;
    },
  );
  if (held === undefined) return false;
  try {
    if (!(await isToGo())) return false;
    await removePartFolder(part);
    return true;
  } finally {
    await held.release();
  }
}

/** @param paths only the first path that exists is checked */
async function isOlder(paths: readonly string[], changedBeforeMs: number): Promise<boolean> {
  for (const path of paths) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats !== undefined) return stats.mtimeMs <= changedBeforeMs;
  }
  return false;
}

/** Calls `removeStaleParts` daily, or more often if parts become stale within a day. */
export class StalePartsRemoval {
  private readonly timer: NodeJS.Timeout;
  /** The removal in progress. */
  private running: Promise<void> | undefined;

  /**
   * @param handleError called for unexpected errors only: each session reports disk errors itself
   */
  constructor(
    private readonly dir: string,
    private readonly handleError: (error: unknown) => void,
    private readonly olderThanMs = defaultKeepPartsMs,
  ) {
    this.timer = setInterval(() => this.begin(), Math.min(dayMs, olderThanMs)).unref();
  }

  /** Resolves when no removal is in progress, and none will begin. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  private begin(): void {
    this.running ??= this.remove().finally(() => {
      this.running = undefined;
    });
  }

  private async remove(): Promise<void> {
    try {
      await removeStaleParts(this.dir, this.olderThanMs);
    } catch (error) {
      if (!(error instanceof P2mpError)) this.handleError(error);
    }
  }
}
