/** The destination at the receivers: `NAME` renames a single path; `FOLDER/` is where all paths go. */
import { P2mpError } from '../../../base/errors.js';
import { checkEntryName, describeNameFault } from '../../../object/entry-name.js';
import type { FolderEntry } from '../../../object/manifest.js';
import { holderMode } from '../../../object/manifest.js';
import { isReservedName } from '../parts/part-folder.js';

export interface Destination {
  /** The folders that contain everything, outermost first, each with its full name: `a`, `a/b`. */
  readonly folders: readonly string[];
  /** The new name of the only path; undefined if paths keep their names. */
  readonly rename?: string;
}

/**
 * @param dest as the user wrote it; undefined if everything goes to the receiver's own folder
 * @param pathCount the number of paths that are sent
 * @param isFolderContent whether the only path stands for the content of a folder, as `.` does
 * @throws P2mpError INVALID_ARGUMENT
 */
export function readDestination(
  dest: string | undefined,
  pathCount: number,
  isFolderContent: boolean,
): Destination {
  if (dest === undefined) return { folders: [] };
  const name = dest.replace(/\/$/, '');
  const fault = checkEntryName(name, 'posix');
  if (fault !== undefined || isReservedName(name)) {
    const why =
      fault === undefined ? 'is reserved for unfinished transfers' : describeNameFault(fault);
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--dest ${dest}: this name ${why}; give a name, or a folder below the receiver's own, such as backup/`,
    );
  }
  const parts = name.split('/');
  const folders = parts.map((_, i) => parts.slice(0, i + 1).join('/'));
  if (dest.endsWith('/') || isFolderContent) return { folders };
  if (pathCount > 1) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--dest ${dest}: only one path can be renamed; to put all ${pathCount} into a folder, give --dest ${dest}/`,
    );
  }
  return { folders: folders.slice(0, -1), rename: parts.at(-1) as string };
}

/** A folder that is not sent itself but holds sent entries. Its mode and its time are the receiver's own. */
export function holderOf(name: string): FolderEntry {
  return { kind: 'folder', name, mode: holderMode, modifiedMs: 0, isHolder: true };
}
