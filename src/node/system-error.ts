/** Turns errors of the operating system into messages that say what to do. */
import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { ErrorCode } from '../base/errors.js';
import { P2mpError } from '../base/errors.js';

const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; check the name',
  EACCES: 'permission denied; check the permissions',
  EPERM: 'permission denied; check the permissions',
  EEXIST: 'a file of that name exists; choose another name',
  EISDIR: 'is a folder; name a file',
  ENOTDIR: 'a part of the path is not a folder; check the name',
  ENOSPC: 'the disk is full; make room and try again',
  EDQUOT: 'disk quota exceeded; make room and try again',
  EFBIG: 'the file exceeds the size limit; raise the limit or use another disk',
  EBUSY: 'is in use by another program; close it there or choose another name',
  EROFS: 'the file system is read-only; use another one',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  ENFILE: 'too many open files on this host; close some',
  EIO: 'disk I/O error; check the disk',
  ESTALE: 'was removed or replaced at the file server; check the name',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ELOOP: 'the symbolic links form a loop; check the path',
};

/** @returns a message that says what went wrong and what to do */
export function describeError(error: unknown): string {
  return remedies[systemCode(error)] ?? (error as Error).message;
}

/**
 * @returns the POSIX name of the error. For some codes, such as EDQUOT, Node has no name and reports only the
 *   number.
 */
export function systemCode(error: unknown): string {
  const { code = '', errno } = error as NodeJS.ErrnoException;
  if (!code.startsWith('Unknown') || errno === undefined) return code;
  return namesByErrno.get(-errno) ?? code;
}

const namesByErrno = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);

/** What the system reports if a file or its folder has been removed, moved, or exchanged for something else. */
export const goneCodes: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);

/** Wraps an error of a file operation. The message starts with the path. */
export function fileError(code: ErrorCode, path: string, error: unknown): P2mpError {
  if (error instanceof P2mpError) return error;
  const isFull = systemCode(error) === 'ENOSPC';
  const reason = isFull && hasNoInodes(path) ? noInodes : describeError(error);
  return new P2mpError(code, `${path}: ${reason}`, { cause: error });
}

export const noInodes = 'the disk has no free inodes; delete files there or use another disk';

/** ENOSPC has two causes: no free blocks, or no free inodes. */
function hasNoInodes(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    try {
      const { files, ffree } = statfsSync(folder);
      return files > 0 && ffree === 0;
    } catch {
      if (folder === dirname(folder)) return false;
    }
  }
}

/** On Windows, an open file cannot be replaced, and the system reports a permission error. */
const heldCodes = ['EPERM', 'EACCES', 'EBUSY'];

/** Wraps an error that occurred when a new file was renamed to its final name. */
export function replaceError(
  code: ErrorCode,
  path: string,
  error: unknown,
  platform: NodeJS.Platform = process.platform,
): P2mpError {
  const { code: systemCode = '' } = error as NodeJS.ErrnoException;
  if (platform !== 'win32' || !heldCodes.includes(systemCode)) return fileError(code, path, error);
  const remedy = 'is open in another program or read-only; close it there and send again';
  return new P2mpError(code, `${path}: ${remedy}`, { cause: error });
}
