/**
 * An unfinished part of an older version of an object becomes the part of the new version, so that what both have in common
 * is not received again. Opening a part hashes what it holds, so nobody takes the old blocks for new ones.
 */
import { lstat, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import type { PartPaths } from './part-folder.js';
import { keepPrivate, makePrivateFolder, partPaths } from './part-folder.js';
import type { JournalContent } from './part-journal.js';
import { readJournal } from './part-journal.js';
import { PartLock } from './part-lock.js';
import { removePartFolder } from './remove-part.js';

/**
 * Takes over the part of an object with a single file.
 * @param root the target folder
 * @param earlierId the part of the older version
 * @param paths the new part, whose lock the caller holds
 * @param sizeBytes the size of the new version
 * @returns what it holds; undefined if there is nothing to take over
 */
export async function takeOverPart(
  root: string,
  earlierId: string,
  paths: PartPaths,
  sizeBytes: number,
): Promise<JournalContent | undefined> {
  const earlier = partPaths(root, earlierId);
  const makeParts = () => makePrivateFolder(earlier.parts);
  const lock = await PartLock.acquire(earlier.lock, makeParts, earlier.part).catch(
    (error: unknown) => {
      // Another process is receiving it.
      if (error instanceof P2mpError) return undefined;
      throw error;
    },
  );
  if (lock === undefined) return undefined;
  try {
    const stats = await lstat(earlier.part).catch(() => undefined);
    if (stats === undefined) return undefined;
    await keepPrivate(earlier.part, stats);
    const content = await readJournal(earlier.journal, { partId: earlierId });
    const file = await lstat(join(earlier.part, '0')).catch(() => undefined);
    if (content === undefined || file?.isFile() !== true) return undefined;
    await removePartFolder(paths.part);
    await rename(earlier.part, paths.part);
    for (const ranges of [content.held, content.written])
      ranges.remove(sizeBytes, Number.MAX_SAFE_INTEGER);
    return content;
  } finally {
    await lock.release();
  }
}
