/** Keys and lists of trusted keys: a user who may write to their folder may exchange them, whatever their own modes. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const others = 0o002;
const sticky = 0o1000;

/**
 * @param path of a file that is there; where it is a link, its own folder counts, and that of what it leads to
 * @returns why anybody on this host may exchange the file, and what to do; undefined where nobody else may
 */
export async function findOpenPlace(path: string): Promise<string | undefined> {
  // Modes say nothing on Windows.
  const ownUid = process.geteuid?.();
  if (ownUid === undefined) return undefined;
  for (const place of new Set([path, await realpath(path)])) {
    const folder = dirname(place);
    const { mode } = await stat(folder);
    if ((mode & others) === 0) continue;
    // There, only the owner of a file may exchange it.
    const isKept = (mode & sticky) !== 0 && [0, ownUid].includes((await lstat(place)).uid);
    if (isKept) continue;
    const octal = (mode & 0o7777).toString(8).padStart(4, '0');
    return `anybody on this host may exchange it in ${folder} (mode ${octal}); move it to a folder of your own`;
  }
  return undefined;
}
