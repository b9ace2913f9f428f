/**
 * Chooses the modes of replaced files, so that a sender cannot make readable what the receiver has protected.
 */
import type { Stats } from 'node:fs';
import type { FileEntry } from '../../../object/manifest.js';
import { permissionsOf } from '../fsync.js';

/**
 * @param old the file to replace, whose mode is kept; undefined if there is no such file or if the sender's
 * mode is wanted (--update-modes)
 * @param own owner of the new file
 */
export function fileModeFor(
  { mode }: FileEntry,
  old: (Owner & Pick<Stats, 'mode' | 'isSymbolicLink'>) | undefined,
  own: Owner,
): number {
  const sent = permissionsOf(mode);
  // A link has no mode of its own.
  if (old === undefined || old.isSymbolicLink()) return sent;
  const kept = permissionsOf(old.mode);
  // If the new file has another group, that group and all other users get only the rights that the old file
  // gave both to its group and to all other users.
  const common = (kept >> 3) & kept & 0o7;
  const ofOthers = old.gid === own.gid ? kept & 0o077 : (common << 3) | common;
  // Another user may have created the old file with an open mode, to gain access to the file that replaces
  // it.
  const open = old.uid === own.uid ? ofOthers : ofOthers & sent;
  return (kept & 0o700) | open;
}

/** User ID and group ID. */
type Owner = Pick<Stats, 'uid' | 'gid'>;
