/**
 * Finishes an object: verified files get their modes, times and final names. The path to a name is checked again
 * before each step, because it may have changed since the object was opened.
 */
import type { BigIntStats } from 'node:fs';
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { open, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { P2mpError } from '../../../base/errors.js';
import type { FolderEntry, LinkEntry } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import { forEachInTurns } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { fileError, replaceError } from '../../system-error.js';
import type { FileIdentity } from '../fsync.js';
import {
  identityOf,
  isSameFile,
  openFlags,
  permissionsOf,
  syncFolder,
  syncOpenFolder,
  toFileTime,
} from '../fsync.js';
import { orRemovedPart } from '../parts/part-folder.js';
import type { ContentFile } from './content-layout.js';
import { fileModeFor } from './kept-modes.js';
import { OwnNames } from './own-names.js';
import type { Placing } from './prepare-files.js';
import { isModeRight, setAttributes } from './prepare-files.js';
import type { TargetFolder } from './target-folder.js';
import { refuseFolder, refuseUnlessFolder } from './target-folder.js';

/** Number of blocking operations per turn of the event loop. */
const turnSize = 64;
/** The owner needs these rights in a folder while entries are placed in it. */
export const workMode = 0o700;
const isWindows = process.platform === 'win32';

/** How a folder gets its final mode. */
type FolderMode =
  /** The folder is new, or existing folders get the sender's modes. */
  | 'sender'
  /** The folder existed. If others change its mode in the meantime, their change stays. */
  | 'unchanged'
  /** The folder existed and was made writable for the work. The number is the mode to restore. */
  | number;

/**
 * Places all entries and makes them durable. Can be called again after an error.
 * @throws P2mpError TARGET_FAILED
 */
export async function placeEntries(placing: Placing): Promise<void> {
  const { manifest, files } = placing;
  const modes = new Map<FolderEntry, FolderMode>();
  const own = new OwnNames(placing.target);
  const folders: FolderEntry[] = [];
  const links: LinkEntry[] = [];
  await forEachInTurns(manifest.entries, (entry) => {
    if (entry.kind === 'folder') folders.push(entry);
    if (entry.kind === 'link') links.push(entry);
  });
  try {
    await inTurns(folders, (folder) => modes.set(folder, makeFolder(placing, own, folder)));
    // Detect changes by other processes before anything is replaced.
    await forEachLimited(files.layout.files, diskConcurrency, (file) => settle(placing, own, file));
    await inTurns(files.layout.files, (file) => placeFile(placing, own, file));
    await inTurns(links, (link) => placeLink(placing, own, link));
    await finishFolders(placing, modes);
  } catch (error) {
    await closeFolders(placing, modes);
    throw error;
  }
}

function makeFolder(
  { target, existing, updatesModes }: Placing,
  own: OwnNames,
  { name, mode, isHolder }: FolderEntry,
): FolderMode {
  const shown = target.shown(name);
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  try {
    if (stats === undefined) {
      mkdirSync(target.path(name), { mode: permissionsOf(mode) | workMode });
      setNewFolderMode(target.path(name), permissionsOf(mode) | workMode);
      own.note(name, lstatSync(target.path(name), { bigint: true }), true);
      return 'sender';
    }
    refuseUnlessFolder('TARGET_FAILED', shown, stats);
    const found = lstatSync(target.path(name), { bigint: true });
    own.check(name, found);
    own.note(name, found, true);
    const takesMode = updatesModes && existing !== 'keep' && isHolder !== true;
    const oldMode = stats.mode & 0o7777;
    if ((oldMode & workMode) === workMode) return takesMode ? 'sender' : 'unchanged';
    // An earlier attempt may have left a folder that its owner cannot write to.
    chmodSync(target.path(name), oldMode | workMode);
    return takesMode ? 'sender' : oldMode;
  } catch (error) {
    throw fileError('TARGET_FAILED', shown, error);
  }
}

/** Sets the mode regardless of the umask: after a crash the folder counts as an existing one and keeps this mode. */
function setNewFolderMode(path: string, mode: number): void {
  if (isWindows || (lstatSync(path).mode & 0o777) === mode) return;
  const fd = openSync(path, openFlags.folder);
  try {
    const now = fstatSync(fd).mode;
    if ((now & 0o777) !== mode) fchmodSync(fd, (now & 0o7000) | mode);
  } finally {
    closeSync(fd);
  }
}

/** After an error, restores folder modes that were changed only to place entries, as far as possible. */
async function closeFolders(
  { target, openFiles }: Placing,
  modes: ReadonlyMap<FolderEntry, FolderMode>,
): Promise<void> {
  if (isWindows) return;
  // Reverse order: restoring the mode of an outer folder could make its inner folders unreachable.
  for (const [{ name, mode: sent }, mode] of [...modes].reverse()) {
    if (mode === 'unchanged') continue;
    // If the folder gets the sender's mode, keep it readable for the next attempt.
    const last = mode === 'sender' ? permissionsOf(sent) | 0o500 : mode;
    if ((last & workMode) === workMode) continue;
    await openFiles
      .useOnce(
        () => open(target.path(name), openFlags.folder),
        async (handle) => {
          const stats = await handle.stat({ bigint: true });
          target.checkOpened(name, 'TARGET_FAILED', stats);
          const now = Number(stats.mode) & 0o7777;
          await handle.chmod(mode === 'sender' ? (now & 0o7000) | last : last);
        },
      )
      .catch(() => undefined);
  }
}

/** Handles files that stay where they are. A candidate must be unchanged; a kept file must still exist. */
async function settle(placing: Placing, own: OwnNames, file: ContentFile): Promise<void> {
  const { target, files, openFiles, placed, updatesModes } = placing;
  const place = files.place(file);
  const { entry } = file;
  const shown = target.shown(entry.name);
  if (place.kind === 'kept') {
    if (place.unchanged !== undefined) {
      await settleUnchanged(placing, own, file, place.unchanged);
      return;
    }
    target.checkParents(entry.name, 'TARGET_FAILED');
    if (target.look(entry.name, 'TARGET_FAILED') !== undefined) return;
    throw new P2mpError('TARGET_FAILED', `${shown}: was removed during the transfer; send again`);
  }
  if (place.kind !== 'candidate') return;
  try {
    target.checkParents(entry.name, 'TARGET_FAILED');
    await openFiles.useOnce(
      () => files.openCandidate(file, openFlags.attributes),
      async (handle) => {
        const { mode } = updatesModes ? entry : await handle.stat();
        if (await setAttributes(handle, entry, permissionsOf(mode))) await handle.sync();
        const stats = await handle.stat({ bigint: true });
        own.check(entry.name, stats);
        own.note(entry.name, stats);
        placed?.note(target.path(entry.name), stats);
      },
    );
  } catch (error) {
    throw fileError('TARGET_FAILED', shown, error);
  }
  files.setPlaced(file);
}

/**
 * Handles a file whose size and time are unchanged. Only its mode can still differ. It is enough to check
 * that it is still the same file: nothing is created or renamed here, so a link in the path can do no harm.
 */
async function settleUnchanged(
  { target, openFiles, placed, updatesModes }: Placing,
  own: OwnNames,
  { entry }: ContentFile,
  unchanged: FileIdentity,
): Promise<void> {
  const { name } = entry;
  const path = target.path(name);
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const isSame = stats !== undefined && isSameFile(identityOf(stats), unchanged);
  if (!isSame) {
    const shown = target.shown(name);
    throw new P2mpError('TARGET_FAILED', `${shown}: changed during the transfer; send again`);
  }
  own.check(name, stats);
  own.note(name, stats);
  const mode = permissionsOf(entry.mode);
  if (!updatesModes || isModeRight(stats, mode)) return;
  await openFiles.useOnce(
    () => open(path, openFlags.attributes),
    async (handle) => {
      target.checkOpened(name, 'TARGET_FAILED', await handle.stat({ bigint: true }));
      await handle.chmod(mode);
      await handle.sync();
      // The new mode has updated the change time (ctime), by which the file is recognized.
      placed?.note(path, await handle.stat({ bigint: true }));
    },
  );
}

function placeFile(placing: Placing, own: OwnNames, file: ContentFile): void {
  const { target, files, existing, placed } = placing;
  if (files.place(file).kind !== 'part') return;
  if (!placing.updatesModes) fitMode(placing, file);
  const stats = moveInto(target, own, file.entry.name, files.path(file), existing);
  if (stats === 'kept') return;
  files.setPlaced(file);
  if (stats !== undefined) placed?.confirm(target.path(file.entry.name), stats);
}

/** Chooses the mode again, because the file to replace may have appeared or changed in the meantime. */
function fitMode({ target, files }: Placing, file: ContentFile): void {
  const { entry } = file;
  const partPath = files.path(file);
  const old = target.look(entry.name, 'TARGET_FAILED');
  if (old === undefined) return;
  try {
    const own = lstatSync(partPath);
    const mode = fileModeFor(entry, old, own);
    if ((own.mode & 0o7777) !== mode) chmodSync(partPath, mode);
  } catch (error) {
    throw files.failure(file, error);
  }
}

function placeLink(
  { target, partPath, existing }: Placing,
  own: OwnNames,
  { name, target: to }: LinkEntry,
): void {
  const path = join(partPath, 'link');
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  const found = stats === undefined ? undefined : checkOwn(target, own, name);
  try {
    if (stats?.isSymbolicLink() && readlinkSync(target.path(name)) === to) {
      // The existing link is right, so record it as placed, like a new link.
      if (found !== undefined) own.note(name, found);
      return;
    }
    rmSync(path, { force: true });
    symlinkSync(to, path);
  } catch (error) {
    throw fileError('TARGET_FAILED', target.shown(name), orRemovedPart(target, error));
  }
  moveInto(target, own, name, path, existing);
}

/**
 * Renames a file or link to its final name. No await separates the check from the rename, so that other
 * processes have little time to put a link in the way.
 * @returns the stats of the renamed entry, if it still exists; `kept` if an existing entry stays
 */
function moveInto(
  target: TargetFolder,
  own: OwnNames,
  name: string,
  from: string,
  existing: ExistingFiles,
): BigIntStats | undefined | 'kept' {
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  if (stats !== undefined) {
    refuseFolder('TARGET_FAILED', target.shown(name), stats);
    checkOwn(target, own, name);
    if (existing === 'keep') return 'kept';
  }
  try {
    renameSync(from, target.path(name));
  } catch (error) {
    throw replaceError('TARGET_FAILED', target.shown(name), orRemovedPart(target, error));
  }
  const placed = lstatSync(target.path(name), { bigint: true, throwIfNoEntry: false });
  if (placed !== undefined) own.note(name, placed);
  return placed;
}

function checkOwn(target: TargetFolder, own: OwnNames, name: string): BigIntStats | undefined {
  const found = lstatSync(target.path(name), { bigint: true, throwIfNoEntry: false });
  if (found !== undefined) own.check(name, found);
  return found;
}

/**
 * Finishes folders once all entries are placed, because placing entries changes the times of folders. The
 * deepest folders come first, because the final mode of a folder may block access to its content.
 */
async function finishFolders(
  placing: Placing,
  modes: ReadonlyMap<FolderEntry, FolderMode>,
): Promise<void> {
  const { target } = placing;
  const byDepth: FolderEntry[][] = [];
  await forEachInTurns([...modes.keys()], (folder) => {
    const depth = folder.name.split('/').length;
    let level = byDepth[depth];
    if (level === undefined) {
      level = [];
      byDepth[depth] = level;
    }
    level.push(folder);
  });
  for (const folders of byDepth.reverse()) {
    await forEachLimited(folders ?? [], diskConcurrency, (folder) =>
      finishFolder(placing, folder, modes.get(folder) ?? 'unchanged'),
    );
  }
  await syncFolder(target.root).catch((error: unknown) => {
    throw fileError('TARGET_FAILED', target.name, error);
  });
}

/** Sets the mode and the time of a folder, and makes its names durable. @throws P2mpError TARGET_FAILED */
export async function finishFolder(
  { target, openFiles, existing }: Placing,
  folder: FolderEntry,
  mode: FolderMode,
): Promise<void> {
  const path = target.path(folder.name);
  // New folders get their time even if existing ones are left alone.
  const setsTime = folder.isHolder !== true && (existing !== 'keep' || mode === 'sender');
  try {
    target.checkParents(folder.name, 'TARGET_FAILED');
    if (isWindows) {
      refuseUnlessFolder('TARGET_FAILED', target.shown(folder.name), lstatSync(path));
      const time = toFileTime(folder.modifiedMs);
      if (setsTime) await utimes(path, time, time);
      return;
    }
    await openFiles.useOnce(
      () => open(path, openFlags.folder),
      async (handle) => {
        const stats = await handle.stat({ bigint: true });
        target.checkOpened(folder.name, 'TARGET_FAILED', stats);
        const now = Number(stats.mode) & 0o7777;
        // Keep the folder's setuid, setgid and sticky bits. The receiving host set them.
        const sent = (now & 0o7000) | permissionsOf(folder.mode);
        const last = mode === 'sender' ? sent : mode === 'unchanged' ? now : mode;
        if (setsTime) await setAttributes(handle, folder, last);
        else if (last !== now) await handle.chmod(last);
        await syncOpenFolder(handle);
      },
    );
  } catch (error) {
    throw fileError('TARGET_FAILED', target.shown(folder.name), error);
  }
}

async function inTurns<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (let i = 0; i < items.length; i++) {
    work(items[i] as T);
    if (i % turnSize === turnSize - 1) await nextTurn();
  }
}
