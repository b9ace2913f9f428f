/** Modes of what is replaced: a sender must not open to others what the receiver has closed. */
import type { Stats } from 'node:fs';
import type { FileEntry } from '../../session/manifest.js';
import { permissionsOf } from '../disk.js';

/**
 * @param old what the file replaces and takes its mode from; undefined where nothing is there, or where the
 * sender's mode is wanted
 * @param gid the new file's group
 */
export function fileModeFor(
  { mode }: FileEntry,
  old: Pick<Stats, 'mode' | 'gid' | 'isSymbolicLink'> | undefined,
  gid: number,
): number {
  // A link has no mode of its own.
  if (old === undefined || old.isSymbolicLink()) return permissionsOf(mode);
  const kept = permissionsOf(old.mode);
  if (old.gid === gid) return kept;
  // Members of either group get no more than they had.
  const common = (kept >> 3) & kept & 0o7;
  return (kept & 0o700) | (common << 3) | common;
}
