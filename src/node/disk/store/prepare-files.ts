/**
 * Prepares the files of a verified object for their final names: sets modes and times, and makes the files durable.
 */
import type { BigIntStats, Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat } from 'node:fs/promises';
import { P2mpError } from '../../../base/errors.js';
import type { FileEntry, FolderEntry, Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { isTimeRight, permissionsOf, toFileTime } from '../fsync.js';
import type { PartFiles } from '../parts/part-files.js';
import type { ContentFile } from './content-layout.js';
import { fileModeFor } from './kept-modes.js';
import type { OpenFiles } from './open-files.js';
import type { PlacedFiles } from './placed-files.js';
import type { TargetFolder } from './target-folder.js';

export interface Placing {
  readonly target: TargetFolder;
  readonly manifest: Manifest;
  readonly existing: ExistingFiles;
  /** Whether existing files and folders get the sender's modes; by default they keep theirs. */
  readonly updatesModes: boolean;
  /** Records placed files. */
  readonly placed: PlacedFiles | undefined;
  readonly files: PartFiles;
  readonly openFiles: OpenFiles;
  /** Folder for new links before they are renamed. */
  readonly partPath: string;
}

/**
 * Sets modes and times of the files in the part and makes them durable. A candidate with other hard links, possibly
 * outside of the object, is copied first if it is to be changed.
 * @throws P2mpError TARGET_FAILED
 */
export async function prepareFiles(placing: Placing): Promise<void> {
  const { target, files, openFiles, placed, updatesModes } = placing;
  await forEachLimited(files.layout.files, diskConcurrency, async (file) => {
    try {
      await separate(placing, file);
      if (files.place(file).kind !== 'part') return;
      await openFiles.useOnce(
        () => files.openPartFile(file),
        async (handle) => {
          await fitSize(target, file, handle);
          const own = await handle.stat();
          const old = updatesModes ? undefined : await lookEarly(target, file);
          await setAttributes(handle, file.entry, fileModeFor(file.entry, old, own));
          await handle.sync();
          if (placed === undefined) return;
          placed.expect(target.path(file.entry.name), await handle.stat({ bigint: true }));
        },
      );
    } catch (error) {
      throw files.failure(file, error);
    }
  });
}

/** Looks at what has this file's final name now. Each name is checked later, before it is replaced. */
async function lookEarly(target: TargetFolder, { entry }: ContentFile): Promise<Stats | undefined> {
  return lstat(target.path(entry.name)).catch(() => undefined);
}

/**
 * Truncates a file that is longer than what was verified. It may be longer because a candidate grew while it was being
 * copied into the part.
 */
async function fitSize(
  target: TargetFolder,
  { entry }: ContentFile,
  handle: FileHandle,
): Promise<void> {
  const { size } = await handle.stat();
  if (size > entry.sizeBytes) await handle.truncate(entry.sizeBytes);
  if (size >= entry.sizeBytes) return;
  const remedy = 'was truncated before it was renamed into place; send it again';
  throw new P2mpError('TARGET_FAILED', `${target.shown(entry.name)}: ${remedy}`);
}

async function separate(
  { files, openFiles, updatesModes }: Placing,
  file: ContentFile,
): Promise<void> {
  const place = files.place(file);
  if (place.kind !== 'candidate' || !place.isShared) return;
  const isRight = await openFiles.useOnce(
    () => files.openCandidate(file),
    async (handle) => {
      const stats = await handle.stat({ bigint: true });
      const mode = updatesModes ? file.entry.mode : permissionsOf(Number(stats.mode));
      return isTimeRight(stats, file.entry) && isModeRight(stats, mode);
    },
  );
  if (!isRight) await files.copyCandidate(file);
}

/**
 * Does not set attributes that are already right, because files of other users can be compared but not changed.
 * @returns whether anything was changed
 */
export async function setAttributes(
  handle: FileHandle,
  entry: FileEntry | FolderEntry,
  mode: number,
): Promise<boolean> {
  const stats = await handle.stat({ bigint: true });
  const isTimed = isTimeRight(stats, entry);
  const time = toFileTime(entry.modifiedMs);
  if (!isTimed) await handle.utimes(time, time);
  const isModed = isModeRight(stats, mode);
  if (!isModed) await handle.chmod(mode);
  return !isTimed || !isModed;
}

export function isModeRight(stats: BigIntStats, mode: number): boolean {
  return (Number(stats.mode) & 0o7777) === mode;
}
