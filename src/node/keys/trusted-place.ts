/** Checks the folders above a key file: users who can write to one of them can replace the file, whatever its mode. */
import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

const others = 0o002;
const sticky = 0o1000;

/**
 * Checks every folder above the file. If the file is a link, also checks every folder above the link's
 * target.
 * @param path of an existing file
 * @returns why other users could replace the file, and what to do; undefined if they cannot
 */
export async function findOpenPlace(path: string): Promise<string | undefined> {
  // Windows has no meaningful modes.
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

/** @param trustedUids IDs of the users whose entries in a sticky folder are trusted */
async function findOpenFolder(
  place: string,
  trustedUids: readonly number[],
): Promise<{ readonly folder: string; readonly mode: number } | undefined> {
  for (let child = place; child !== dirname(child); child = dirname(child)) {
    const folder = dirname(child);
    const { mode } = await stat(folder);
    if ((mode & others) === 0) continue;
    // In a sticky folder, only the owner of an entry can replace it.
    const isKept = (mode & sticky) !== 0 && trustedUids.includes((await lstat(child)).uid);
    if (!isKept) return { folder, mode };
  }
  return undefined;
}
