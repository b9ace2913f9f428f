/**
 * A quick look whether a new part would find anything. Opening a part takes many operations of the disk, one after
 * another; the first blocks can be on their way meanwhile if it is clear that none of them is there.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { partPaths } from './part-folder.js';
import type { PartStoreOptions } from './part-store-options.js';

/** With more files, the look would take as long as opening the part. */
const mostFiles = 16;

/** Whether nothing of the object is in a part or under its final names. An error counts as something that is there. */
export async function isNothingThere({
  dir,
  partId,
  manifest: { entries },
  earlierId,
  listsExtras = false,
}: PartStoreOptions): Promise<boolean> {
  const files = entries.filter(({ kind }) => kind === 'file');
  if (earlierId !== undefined || listsExtras || files.length > mostFiles) return false;
  const paths = [partPaths(dir, partId).part, ...files.map(({ name }) => join(dir, name))];
  const missing = await Promise.all(paths.map(isMissing));
  return missing.every(Boolean);
}

async function isMissing(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}
