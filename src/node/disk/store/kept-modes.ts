/** Modes of what is replaced: a sender must not open to others what the receiver has closed. */
import type { Stats } from 'node:fs';
import type { FileEntry } from '../../../object/manifest.js';
import { permissionsOf } from '../fsync.js';

/**
 * @param old what the file replaces and takes its mode from; undefined where nothing is there, or where the
 * sender's mode is wanted
 * @param own whose the new file is
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
  // Members of either group get no more than they had.
  const common = (kept >> 3) & kept & 0o7;
  const ofOthers = old.gid === own.gid ? kept & 0o077 : (common << 3) | common;
  // Another user's file may lie there for its mode alone, to open what replaces it.
  const open = old.uid === own.uid ? ofOthers : ofOthers & sent;
  return (kept & 0o700) | open;
}

/** Numbers of a user and a group. */
type Owner = Pick<Stats, 'uid' | 'gid'>;
