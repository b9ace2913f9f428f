/**
 * Deletes entries that the sender does not send, after everything else is in place. An entry that has changed since it
 * was listed stays. No link is followed.
 */
import type { BigIntStats } from 'node:fs';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DeletionResult } from '../../../object/content-store.js';
import { maxDeletionNames, shownName } from '../../../object/deletion-names.js';
import { foldersAbove } from '../../../object/entry-name.js';
import type { FolderEntry } from '../../../object/manifest.js';
import type { Extra, UndeletedCause } from '../../../wire/lists.js';
import { forEachInTurns } from '../../in-turns.js';
import { describeError, systemCode } from '../../system-error.js';
import { openFlags } from '../fsync.js';
import { finishFolder, workMode } from '../store/place-entries.js';
import type { Placing } from '../store/prepare-files.js';
import { SpreadMap } from '../store/spread-map.js';
import type { TargetFolder } from '../store/target-folder.js';
import type { EntryIdentity, ExtraEntries, KeptExtra } from './extra-entries.js';
import { isSameExtra } from './extra-entries.js';

/** Number of blocking operations per turn of the event loop. */
const turnSize = 64;

/** Maximum number of undeleted entries that the result names. */
const maxUndeletedNames = 100;

const deniedCodes = new Set(['EACCES', 'EPERM', 'EROFS']);

/**
 * @param doomed entries of `extras`, in the same order
 * @param signal no more entries are deleted once it aborts
 */
export async function deleteExtras(
  placing: Placing,
  extras: ExtraEntries,
  doomed: Iterable<Extra>,
  signal: AbortSignal,
): Promise<DeletionResult> {
  const deletion = await Deletion.create(placing, extras);
  let count = 0;
  for (const extra of doomed) {
    if (count++ % turnSize === turnSize - 1) await nextTurn();
    if (signal.aborted) break;
    deletion.deleteOne(extra);
  }
  await deletion.finish();
  return deletion;
}

class Deletion implements DeletionResult {
  deletedEntries = 0;
  undeletedEntries = 0;
  readonly deletedNames: string[] = [];
  readonly undeleted: KeptExtra[] = [];
  /** Folders that stay because an entry in them stays. */
  private readonly keptFolders = new Set<string>();
  /** The object's folders in which something was to be deleted, with the modes that they had before. */
  private readonly parents = new Map<FolderEntry, number>();

  private constructor(
    private readonly placing: Placing,
    private readonly extras: ExtraEntries,
    private readonly folders: SpreadMap<string, FolderEntry>,
  ) {
    for (const kept of extras.kept) this.keep(kept);
  }

  static async create(placing: Placing, extras: ExtraEntries): Promise<Deletion> {
    const folders = new SpreadMap<string, FolderEntry>();
    await forEachInTurns(placing.manifest.entries, (entry) => {
      if (entry.kind === 'folder') folders.set(entry.name, entry);
    });
    return new Deletion(placing, extras, folders);
  }

  deleteOne(extra: Extra): void {
    const { name, isFolder } = extra;
    const identity = this.extras.entries.get(extra);
    // A folder with an entry that could not be deleted: the entry is reported, and the folder stays.
    if (identity === undefined || (isFolder && this.keptFolders.has(name))) return;
    try {
      if (!this.remove(extra, identity)) return;
    } catch (error) {
      this.keep({ name, ...describeFailure(error) });
      return;
    }
    this.deletedEntries++;
    if (this.deletedEntries <= maxDeletionNames) this.deletedNames.push(shownName(extra));
  }

  /**
   * No await separates the checks from the removal, so that other processes have little time to put something else in
   * the way. On Linux, they cannot redirect the removal to another folder at all.
   * @returns false if the entry has disappeared meanwhile
   * @throws Changed or the error of the system
   */
  private remove({ name, isFolder }: Extra, identity: EntryIdentity): boolean {
    const { target } = this.placing;
    const parent = name.slice(0, name.lastIndexOf('/'));
    const isRemoved = withFolder(target.path(parent), (folder) => {
      checkFolder(target, name, parent, folder);
      const path = join(folder.path, name.slice(parent.length + 1));
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) return false;
      if (!isSameExtra(stats, identity)) throw new Changed();
      this.openParent(parent, folder);
      if (isFolder) rmdirSync(path);
      else unlinkSync(path);
      return true;
    });
    return isRemoved === true;
  }

  /** Makes a folder of the object writable for the work, as when files are placed in it. */
  private openParent(
    name: string,
    { path, stats = lstatSync(path, { bigint: true }) }: HeldFolder,
  ): void {
    const folder = this.folders.get(name);
    if (folder === undefined || this.parents.has(folder)) return;
    const mode = Number(stats.mode) & 0o7777;
    this.parents.set(folder, mode);
    if ((mode & workMode) === workMode) return;
    try {
      // On Linux, the path leads to the open folder, so this cannot change the mode of anything else.
      chmodSync(path, mode | workMode);
    } catch {
      // If another user owns the folder, deleting may still be allowed, or fails with the reason.
    }
  }

  private keep(kept: KeptExtra): void {
    for (const folder of foldersAbove(kept.name)) this.keptFolders.add(folder);
    this.undeletedEntries++;
    if (this.undeleted.length < maxUndeletedNames) this.undeleted.push(kept);
  }

  /** Restores the times and modes of the object's folders, which deletion has changed, and makes it durable. */
  async finish(): Promise<void> {
    const { placing, parents } = this;
    // Restoring the mode of an outer folder first could make an inner one unreachable.
    const deepestFirst = [...parents].sort(([a], [b]) => b.name.length - a.name.length);
    for (const [folder, mode] of deepestFirst) {
      // Everything is in place: a wrong time of a folder does not make the object incomplete.
      await finishFolder(placing, folder, mode).catch(() => undefined);
    }
  }
}

/** A folder in which entries are deleted. */
interface HeldFolder {
  /** On Linux, a path that leads to the open folder, whatever takes its place; elsewhere, the path of the folder. */
  readonly path: string;
  readonly stats: BigIntStats | undefined;
}

/**
 * Calls `work` with the folder, which stays open meanwhile if the system can name an open folder.
 * @returns undefined if the folder has disappeared
 */
function withFolder<T>(path: string, work: (folder: HeldFolder) => T): T | undefined {
  if (!canNameOpenFolders) return work({ path, stats: undefined });
  let fd: number;
  try {
    fd = openSync(path, openFlags.folder);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return undefined;
    throw code === 'ENOTDIR' || code === 'ELOOP' ? new Changed() : error;
  }
  try {
    return work({ path: `/proc/self/fd/${fd}`, stats: fstatSync(fd, { bigint: true }) });
  } finally {
    closeSync(fd);
  }
}

const canNameOpenFolders = process.platform === 'linux' && existsSync('/proc/self/fd');

/** @throws Changed if the open folder is not the one below the target folder, without links on the way */
function checkFolder(
  target: TargetFolder,
  name: string,
  parent: string,
  { stats }: HeldFolder,
): void {
  try {
    if (stats === undefined) target.checkParents(name, 'TARGET_FAILED');
    else target.checkOpened(parent, 'TARGET_FAILED', stats);
  } catch {
    throw new Changed();
  }
}

/** The entry, or a folder on the way to it, is not what was listed. */
class Changed extends Error {}

function describeFailure(error: unknown): { cause: UndeletedCause; reason: string } {
  const code = systemCode(error);
  if (error instanceof Changed || code === 'ENOTEMPTY' || code === 'EEXIST') {
    return { cause: 'changed', reason: 'has changed since it was listed' };
  }
  return { cause: deniedCodes.has(code) ? 'denied' : 'failed', reason: describeError(error) };
}
