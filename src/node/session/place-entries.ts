/**
 * The end of an object: what is verified gets modes, times and its final names. Before each step the
 * way to the name is looked at again, for it may have changed since the object began.
 */
import type { BigIntStats } from 'node:fs';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { P2mpError } from '../../errors.js';
import type { FileEntry, FolderEntry, LinkEntry, Manifest } from '../../session/manifest.js';
import type { ExistingFiles } from '../../session/messages.js';
import {
  microsecondsOf,
  openFlags,
  permissionsOf,
  syncFolder,
  syncOpenFolder,
  toFileTime,
  toMicroseconds,
} from '../disk.js';
import { diskConcurrency, forEachLimited } from '../limited-concurrency.js';
import { fileError, replaceError } from '../system-error.js';
import type { ContentFile } from './content-layout.js';
import type { OpenFiles } from './open-files.js';
import type { PartFiles } from './part-files.js';
import type { PlacedFiles } from './placed-files.js';
import type { TargetFolder } from './target-folder.js';
import { refuseFolder, refuseUnlessFolder } from './target-folder.js';

/** Operations that keep the process from all else, between two turns. */
const turnSize = 64;
/** What the owner needs in a folder while things are put there. */
const workMode = 0o700;
const isWindows = process.platform === 'win32';

export interface Placing {
  readonly target: TargetFolder;
  readonly manifest: Manifest;
  readonly existing: ExistingFiles;
  /** Where to note what was placed. */
  readonly placed: PlacedFiles | undefined;
  readonly files: PartFiles;
  readonly openFiles: OpenFiles;
  /** For links on their way to their names. */
  readonly partPath: string;
}

/**
 * Gives the files of the part their modes and times and makes them durable, still in the part. A
 * candidate that has other names, outside of the object maybe, joins them if it is to be changed.
 * @throws P2mpError TARGET_FAILED
 */
export async function prepareFiles({ target, files, openFiles, placed }: Placing): Promise<void> {
  await forEachLimited(files.layout.files, diskConcurrency, async (file) => {
    try {
      await separate(files, openFiles, file);
      if (files.place(file).kind !== 'part') return;
      await openFiles.useOnce(
        () => files.openPartFile(file),
        async (handle) => {
          await fitSize(target, file, handle);
          await setAttributes(handle, file.entry);
          await handle.sync();
          if (placed === undefined) return;
          placed.expect(target.path(file.entry.name), await handle.stat({ bigint: true }));
        },
      );
    } catch (error) {
      throw fileError('TARGET_FAILED', target.shown(file.entry.name), error);
    }
  });
}

/**
 * What was verified are the bytes up to the file's size. There may be more: a copy of a candidate that grew
 * meanwhile is broken off, and left for what is received next.
 */
async function fitSize(
  target: TargetFolder,
  { entry }: ContentFile,
  handle: FileHandle,
): Promise<void> {
  const { size } = await handle.stat();
  if (size > entry.sizeBytes) await handle.truncate(entry.sizeBytes);
  if (size >= entry.sizeBytes) return;
  const remedy = 'lost its end before it was named; send it again';
  throw new P2mpError('TARGET_FAILED', `${target.shown(entry.name)}: ${remedy}`);
}

async function separate(files: PartFiles, openFiles: OpenFiles, file: ContentFile): Promise<void> {
  const place = files.place(file);
  if (place.kind !== 'candidate' || !place.isShared) return;
  const isRight = await openFiles.useOnce(
    () => files.openCandidate(file),
    async (handle) => {
      const stats = await handle.stat({ bigint: true });
      return isTimeRight(stats, file.entry) && isModeRight(stats, file.entry.mode);
    },
  );
  if (!isRight) await files.copyCandidate(file);
}

/**
 * Puts everything where it belongs and makes that durable. After an error it can be called again.
 * @throws P2mpError TARGET_FAILED
 */
export async function placeEntries(placing: Placing): Promise<void> {
  const { manifest, files } = placing;
  const modes = new Map<FolderEntry, number | undefined>();
  const folders = manifest.entries.filter((entry) => entry.kind === 'folder');
  await inTurns(folders, (folder) => modes.set(folder, makeFolder(placing, folder)));
  // What changed meanwhile is found before anything is replaced.
  await forEachLimited(files.layout.files, diskConcurrency, (file) => settle(placing, file));
  await inTurns(files.layout.files, (file) => placeFile(placing, file));
  const links = manifest.entries.filter((entry) => entry.kind === 'link');
  await inTurns(links, (link) => placeLink(placing, link));
  await finishFolders(placing, modes);
}

/** @returns the mode that the folder keeps; undefined for that of its entry */
function makeFolder({ target, existing }: Placing, { name, mode }: FolderEntry) {
  const shown = target.shown(name);
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  try {
    if (stats === undefined) {
      mkdirSync(target.path(name), { mode: permissionsOf(mode) | workMode });
      return undefined;
    }
    refuseUnlessFolder('TARGET_FAILED', shown, stats);
    // A folder that its owner cannot write into may be one of an earlier time.
    if ((stats.mode & workMode) !== workMode) {
      chmodSync(target.path(name), (stats.mode & 0o7777) | workMode);
    }
  } catch (error) {
    throw fileError('TARGET_FAILED', shown, error);
  }
  return existing === 'keep' ? stats.mode & 0o7777 : undefined;
}

/** Files that stay where they are: they must still be what they were. */
async function settle(
  { target, files, openFiles, placed }: Placing,
  file: ContentFile,
): Promise<void> {
  const { kind } = files.place(file);
  const { entry } = file;
  const shown = target.shown(entry.name);
  if (kind === 'kept') {
    target.checkParents(entry.name, 'TARGET_FAILED');
    if (target.look(entry.name, 'TARGET_FAILED') !== undefined) return;
    throw new P2mpError('TARGET_FAILED', `${shown}: was removed meanwhile; start again`);
  }
  if (kind !== 'candidate') return;
  try {
    target.checkParents(entry.name, 'TARGET_FAILED');
    await openFiles.useOnce(
      () => files.openCandidate(file, openFlags.attributes),
      async (handle) => {
        if (await setAttributes(handle, entry)) await handle.sync();
        placed?.note(target.path(entry.name), await handle.stat({ bigint: true }));
      },
    );
  } catch (error) {
    throw fileError('TARGET_FAILED', shown, error);
  }
  files.setPlaced(file);
}

function placeFile({ target, files, existing, placed }: Placing, file: ContentFile): void {
  if (files.place(file).kind !== 'part') return;
  if (!moveInto(target, file.entry.name, files.path(file), existing)) return;
  files.setPlaced(file);
  if (placed === undefined) return;
  const path = target.path(file.entry.name);
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats !== undefined) placed.confirm(path, stats);
}

function placeLink({ target, partPath, existing }: Placing, { name, target: to }: LinkEntry): void {
  const path = join(partPath, 'link');
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  try {
    if (stats?.isSymbolicLink() && readlinkSync(target.path(name)) === to) return;
    rmSync(path, { force: true });
    symlinkSync(to, path);
  } catch (error) {
    throw fileError('TARGET_FAILED', target.shown(name), error);
  }
  moveInto(target, name, path, existing);
}

/**
 * Nothing is awaited between the look and the rename: who else may write here has as little time as can
 * be to put a link in the way.
 * @returns false where something was there that is kept
 */
function moveInto(
  target: TargetFolder,
  name: string,
  from: string,
  existing: ExistingFiles,
): boolean {
  target.checkParents(name, 'TARGET_FAILED');
  const stats = target.look(name, 'TARGET_FAILED');
  if (stats !== undefined) {
    refuseFolder('TARGET_FAILED', target.shown(name), stats);
    if (existing === 'keep') return false;
  }
  try {
    renameSync(from, target.path(name));
  } catch (error) {
    throw replaceError('TARGET_FAILED', target.shown(name), error);
  }
  return true;
}

/** Deepest first: what is put into a folder changes its time, and a mode may close the way to it. */
async function finishFolders(
  placing: Placing,
  modes: ReadonlyMap<FolderEntry, number | undefined>,
): Promise<void> {
  const { target } = placing;
  const byDepth: FolderEntry[][] = [];
  for (const folder of modes.keys()) {
    const depth = folder.name.split('/').length;
    let level = byDepth[depth];
    if (level === undefined) {
      level = [];
      byDepth[depth] = level;
    }
    level.push(folder);
  }
  for (const folders of byDepth.reverse()) {
    await forEachLimited(folders ?? [], diskConcurrency, (folder) =>
      finishFolder(placing, folder, modes.get(folder)),
    );
  }
  await syncFolder(target.root).catch((error: unknown) => {
    throw fileError('TARGET_FAILED', target.name, error);
  });
}

async function finishFolder(
  { target, openFiles }: Placing,
  folder: FolderEntry,
  keptMode: number | undefined,
): Promise<void> {
  const path = target.path(folder.name);
  try {
    target.checkParents(folder.name, 'TARGET_FAILED');
    if (isWindows) {
      refuseUnlessFolder('TARGET_FAILED', target.shown(folder.name), lstatSync(path));
      const time = toFileTime(folder.modifiedMs);
      if (keptMode === undefined) await utimes(path, time, time);
      return;
    }
    await openFiles.useOnce(
      () => open(path, openFlags.folder),
      async (handle) => {
        if (keptMode === undefined) await setAttributes(handle, folder);
        else await handle.chmod(keptMode);
        await syncOpenFolder(handle);
      },
    );
  } catch (error) {
    throw fileError('TARGET_FAILED', target.shown(folder.name), error);
  }
}

/**
 * What is right already is left: files of somebody else can be compared, but not changed.
 * @returns whether anything was changed
 */
async function setAttributes(handle: FileHandle, entry: FileEntry | FolderEntry): Promise<boolean> {
  const stats = await handle.stat({ bigint: true });
  const time = toFileTime(entry.modifiedMs);
  if (!isTimeRight(stats, entry)) await handle.utimes(time, time);
  // Who set these bits of a folder made a rule for what is put there; a file is new.
  const rule = entry.kind === 'folder' ? Number(stats.mode) & 0o7000 : 0;
  const isRight = isModeRight(stats, rule | entry.mode);
  if (!isRight) await handle.chmod(rule | permissionsOf(entry.mode));
  return !isRight || !isTimeRight(stats, entry);
}

function isTimeRight({ mtimeNs }: BigIntStats, { modifiedMs }: FileEntry | FolderEntry): boolean {
  return microsecondsOf(mtimeNs) === BigInt(toMicroseconds(modifiedMs));
}

function isModeRight(stats: BigIntStats, mode: number): boolean {
  return (Number(stats.mode) & 0o7777) === mode;
}

async function inTurns<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (let i = 0; i < items.length; i++) {
    work(items[i] as T);
    if (i % turnSize === turnSize - 1) await nextTurn();
  }
}
