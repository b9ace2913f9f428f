/**
 * What an object has put on the disk so far, by inode. Where a name leads to what already has another name of the same
 * object, the disk takes both for one: by rules that nobody has to know, such as short names or dots at the end that do
 * not count. The second file would replace the first.
 */
import type { BigIntStats } from 'node:fs';
import type { ErrorCode } from '../../../base/errors.js';
import { P2mpError } from '../../../base/errors.js';
import { SpreadMap } from './spread-map.js';
import type { TargetFolder } from './target-folder.js';

export class OwnNames {
  private readonly names = new SpreadMap<bigint, string>();

  constructor(private readonly target: TargetFolder) {}

  /** This entry is at its name now. A file of several names may be another entry rightly. */
  note(name: string, { ino, nlink }: BigIntStats, isFolder = false): void {
    if (isFolder || nlink === 1n) this.names.set(ino, name);
  }

  /** @throws P2mpError TARGET_FAILED where what is at this name is another entry of the object */
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
  return new P2mpError(code, `${names}: are the same name on this disk; ${remedy}`);
}
