/**
 * Tracks by inode which entries an object has placed on the disk. If a name leads to an entry that was placed
 * under another name, the disk treats both names as one, for example because it has short names or ignores
 * trailing dots. Without this check, the second file would replace the first.
 */
import type { BigIntStats } from 'node:fs';
import type { ErrorCode } from '../../../base/errors.js';
import { P2mpError } from '../../../base/errors.js';
import { SpreadMap } from './spread-map.js';
import type { TargetFolder } from './target-folder.js';

export class OwnNames {
  private readonly names = new SpreadMap<bigint, string>();

  constructor(private readonly target: TargetFolder) {}

  /**
   * Records that the entry is in place. A file with several hard links is not recorded, because it may
   * legitimately be another entry too.
   */
  note(name: string, { ino, nlink }: BigIntStats, isFolder = false): void {
    if (isFolder || nlink === 1n) this.names.set(ino, name);
  }

  /** @throws P2mpError TARGET_FAILED if this name refers to another entry of the object */
  check(name: string, { ino }: BigIntStats): void {
    const other = this.names.get(ino);
    if (other !== undefined && other !== name) {
      throw oneName('TARGET_FAILED', this.target, other, name);
    }
  }
}

export function oneName(
  code: ErrorCode,
  target: TargetFolder,
  first: string,
  second: string,
): P2mpError {
  const names = `${target.shown(first)} and ${target.shown(second)}`;
  const remedy = 'rename one at the sender, or choose a folder on a disk that distinguishes them';
  return new P2mpError(code, `${names} are the same name on this disk; ${remedy}`);
}
