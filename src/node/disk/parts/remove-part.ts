/**
 * Removes a part, even one with very many files. Node's `rm` alone would read all names and start all
 * removals in a single turn of the event loop.
 */
import { lstat, opendir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { namesPerTurn } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';

/**
 * Does nothing if there is no such folder. If the path is a symbolic link, removes the link without following
 * it.
 */
export async function removePartFolder(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  // An error here occurs again below.
  if (stats?.isDirectory() === true) await removeFiles(path).catch(() => undefined);
  await rm(path, { recursive: true, force: true });
}

/**
 * Removes only files with names that a part uses, so that other files are safe if a link has replaced the
 * folder.
 */
async function removeFiles(path: string): Promise<void> {
  const folder = await opendir(path, { bufferSize: namesPerTurn });
  let names: string[] = [];
  const removeNamed = async () => {
    await forEachLimited(names, diskConcurrency, (name) => unlink(join(path, name)));
    names = [];
  };
  for await (const { name } of folder) {
    if (/^[0-9]+$/.test(name)) names.push(name);
    if (names.length === namesPerTurn) await removeNamed();
  }
  await removeNamed();
}
