/** The folder in which the indexes of served paths outlive the process: one file for each path. */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fileError } from '../../system-error.js';
import { makeFolders } from '../fsync.js';
import { unfinishedSuffix } from '../write-file-durably.js';
import { digestOf, readIndex, writeIndex } from './index-file.js';
import type { LeafIndex } from './known-blocks.js';

const dayMs = 24 * 3600 * 1000;

/** Age after which the index of a path that is no longer served is removed. */
const keepIndexMs = 30 * dayMs;

/** A file of this age without its final name belongs to a process that was killed while it wrote. */
const keepUnfinishedMs = dayMs;

const indexSuffix = '.leaves';

/** The folder of indexes: below the folder that the platform has for files that can be made again. */
export function defaultIndexFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { XDG_CACHE_HOME: cache, LOCALAPPDATA: localData } = environment;
  if (platform === 'win32') {
    return join(localData || join(homedir(), 'AppData', 'Local'), 'p2mp', 'index');
  }
  // According to the XDG Base Directory Specification, relative paths must be ignored.
  const isUsable = cache !== undefined && isAbsolute(cache);
  return join(isUsable ? cache : join(homedir(), '.cache'), 'p2mp', 'index');
}

export class IndexFolder {
  private constructor(readonly path: string) {}

  /**
   * Creates the folder if it is missing, and removes from it what nobody needs any more.
   * @throws P2mpError TARGET_UNWRITABLE
   */
  static async open(path: string): Promise<IndexFolder> {
    try {
      await makeFolders(path, 0o700);
      await removeOld(path);
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', path, error);
    }
    return new IndexFolder(path);
  }

  /**
   * @param objectPath absolute
   * @returns undefined if there is none, or if it is damaged
   */
  async load(objectPath: string): Promise<LeafIndex | undefined> {
    const path = this.pathOf(objectPath);
    const index = await readIndex(path, objectPath);
    if (index === undefined) return undefined;
    const now = new Date();
    // It is in use. If the time cannot be set, the index is made again after it was removed as unused.
    await utimes(path, now, now).catch(() => undefined);
    return index;
  }

  /**
   * Saves an index durably, in place of the earlier one.
   * @throws P2mpError TARGET_UNWRITABLE
   */
  async save(objectPath: string, index: LeafIndex): Promise<void> {
    try {
      await writeIndex(this.pathOf(objectPath), objectPath, index);
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', this.path, error);
    }
  }

  private pathOf(objectPath: string): string {
    return join(this.path, `${digestOf(objectPath).toString('hex').slice(0, 32)}${indexSuffix}`);
  }
}

async function removeOld(folder: string): Promise<void> {
  const now = Date.now();
  for (const name of await readdir(folder)) {
    const isUnfinished = name.endsWith(unfinishedSuffix);
    if (!name.includes(indexSuffix) || !(isUnfinished || name.endsWith(indexSuffix))) continue;
    const path = join(folder, name);
    // Another process may remove it at the same time.
    const stats = await stat(path).catch(() => undefined);
    const keepMs = isUnfinished ? keepUnfinishedMs : keepIndexMs;
    if (stats !== undefined && now - stats.mtimeMs > keepMs) await rm(path, { force: true });
  }
}
