/** Removes a part of very many files. Node's own `rm` reads all names, and begins with all files, in one turn. */
import { lstat, opendir, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { namesPerTurn } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';

/** Nothing where it is not there; a link is removed, and not followed. */
export async function removePartFolder(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  // What fails here fails again below.
  if (stats?.isDirectory() === true) await removeFiles(path).catch(() => undefined);
  await rm(path, { recursive: true, force: true });
}

/** Those with the name of a part's file: should a link have taken the folder's place, no others are harmed. */
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
