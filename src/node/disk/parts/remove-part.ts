/** Removes a part with very many files. Node's `rm` reads all names and starts all removals in one turn. */
import { lstat, opendir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { namesPerTurn } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';

/** Does nothing if there is no such folder. If a link is in its place, removes the link and does not follow it. */
export async function removePartFolder(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  // An error here occurs again below.
  if (stats?.isDirectory() === true) await removeFiles(path).catch(() => undefined);
  await rm(path, { recursive: true, force: true });
}

/** Removes only files named like a part's file, so no others are harmed if a link has replaced the folder. */
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
