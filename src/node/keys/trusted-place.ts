/** Keys and lists of trusted keys: whoever may write to a folder above one can exchange it, whatever its own mode. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

const others = 0o002;
const sticky = 0o1000;

/**
 * Looks at every folder above the file, and above what it leads to where it is a link.
 * @param path a file that exists
 * @returns why anybody on this host may exchange the file, and what to do; undefined where nobody else may
 */
export async function findOpenPlace(path: string): Promise<string | undefined> {
  // Modes mean nothing on Windows.
  const ownUid = process.geteuid?.();
  if (ownUid === undefined) return undefined;
  for (const place of new Set([resolve(path), await realpath(path)])) {
    const open = await findOpenFolder(place, [0, ownUid]);
    if (open === undefined) continue;
    const mode = (open.mode & 0o7777).toString(8).padStart(4, '0');
    return `any user on this host can replace it in ${open.folder} (mode ${mode}); move it to a folder of your own`;
  }
  return undefined;
}

/** @param trustedUids who may own what lies in a sticky folder */
async function findOpenFolder(
  place: string,
  trustedUids: readonly number[],
): Promise<{ readonly folder: string; readonly mode: number } | undefined> {
  for (let child = place; child !== dirname(child); child = dirname(child)) {
    const folder = dirname(child);
    const { mode } = await stat(folder);
    if ((mode & others) === 0) continue;
    // In a sticky folder, only the owner of an entry may exchange it.
    const isKept = (mode & sticky) !== 0 && trustedUids.includes((await lstat(child)).uid);
    if (!isKept) return { folder, mode };
  }
  return undefined;
}
