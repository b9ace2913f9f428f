/**
 * Finds names that differ for the sender but are the same for the disk, because they differ only by case or
 * by Unicode normalization. Each file system has its own rules, so the names are tried out on the disk
 * itself.
 */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, rm, writeFile } from 'node:fs/promises';
import type { Entry, Manifest } from '../../../object/manifest.js';
import { forEachInTurns } from '../../in-turns.js';
import { fileError } from '../../system-error.js';
import { partsFolderName } from '../parts/part-folder.js';
import { oneName } from './own-names.js';
import { SpreadMap } from './spread-map.js';
import type { TargetFolder } from './target-folder.js';

/**
 * @param target the target folder; its folder of parts must exist
 * @throws P2mpError TARGET_UNWRITABLE with both names; the signal's reason
 */
export async function refuseClashes(
  target: TargetFolder,
  { entries }: Manifest,
  signal?: AbortSignal,
): Promise<void> {
  const pairs: [first: string, second: string][] = [];
  const seen = new SpreadMap<string, string>();
  const compare = ({ name }: Entry) => {
    const key = coarseKey(name);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, name);
    // Names with the same last component differ in their parent folders, which are compared as a separate
    // pair.
    else if (lastPart(first) !== lastPart(name)) pairs.push([first, name]);
  };
  await forEachInTurns(entries, compare, signal);
  if (pairs.length === 0) return;
  await asOneFolder(target, signal, async (isOneName) => {
    for (const [first, second] of pairs) {
      signal?.throwIfAborted();
      if (await isOneName(lastPart(first), lastPart(second)))
        throw oneName('TARGET_UNWRITABLE', target, first, second);
    }
  });
}

/**
 * Returns a key that is equal for all names that some disk treats as the same. Names that every disk
 * distinguishes may have equal keys too; this costs only a check.
 */
function coarseKey(name: string): string {
  // Some file systems drop trailing dots and spaces.
  const bare = name.includes('.') || name.includes(' ') ? name.replace(/[. ]+(?=\/|$)/g, '') : name;
  if (/^[ -~]*$/.test(bare)) return bare.toUpperCase();
  return bare
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC')
    .toUpperCase()
    .normalize('NFKC');
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/**
 * Creates a folder beside the parts for trying out names. A new folder inherits the naming rules of its
 * parent.
 */
async function asOneFolder(
  target: TargetFolder,
  signal: AbortSignal | undefined,
  work: (isOneName: (a: string, b: string) => Promise<boolean>) => Promise<void>,
): Promise<void> {
  const folder = `${partsFolderName}/names-${randomBytes(6).toString('hex')}`;
  const path = (name: string) => target.path(`${folder}/${name}`);
  try {
    await mkdir(target.path(folder), { mode: 0o700 });
    try {
      await work(async (a, b) => {
        await writeFile(path(a), '', { flag: 'wx', mode: 0o600 });
        const found = await lstat(path(b)).catch(() => undefined);
        await rm(path(a));
        return found !== undefined;
      });
    } finally {
      await rm(target.path(folder), { recursive: true, force: true });
    }
  } catch (error) {
    throw signal?.aborted ? error : fileError('TARGET_UNWRITABLE', target.name, error);
  }
}
