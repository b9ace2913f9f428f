/**
 * The target folder of an object. Entry names were checked when the manifest was read; this class guards
 * against symbolic links. A link below the folder could lead out of it, so no such link is followed. The
 * folder given by the user may itself be a link.
 */
import { randomBytes } from 'node:crypto';
import type { BigIntStats, Stats } from 'node:fs';
import { lstatSync } from 'node:fs';
import { access, constants, lstat, mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { escapeControls } from '../../../base/control-characters.js';
import type { ErrorCode } from '../../../base/errors.js';
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';
import { makeFolders, syncFolder } from '../fsync.js';
import { SpreadMap } from './spread-map.js';

export class TargetFolder {
  private constructor(
    /** As given by the user. */
    readonly name: string,
    /** Absolute, with symbolic links resolved. */
    readonly root: string,
  ) {}

  /**
   * Creates the folder if it is missing.
   * @throws P2mpError TARGET_UNWRITABLE
   */
  static async open(name: string): Promise<TargetFolder> {
    if (name === '') throw new P2mpError('TARGET_UNWRITABLE', 'empty folder name; name a folder');
    try {
      const stats = await stat(name).catch(() => undefined);
      if (stats === undefined) await makeTarget(name);
      else if (!stats.isDirectory()) {
        throw new P2mpError('TARGET_UNWRITABLE', `${name}: is not a folder; name a folder`);
      }
      await access(name, constants.W_OK | constants.X_OK);
      return new TargetFolder(name, await realpath(name));
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', name, error);
    }
  }

  /**
   * Checks whether files can be created in the folder. Permissions alone do not show that: in /proc and /sys,
   * not even root can create files.
   * @throws P2mpError TARGET_UNWRITABLE
   */
  async checkTakesFiles(): Promise<void> {
    const probe = this.path(`.p2mp-probe-${randomBytes(6).toString('hex')}`);
    try {
      await mkdir(probe);
      await rmdir(probe);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      // Accept a full disk, which may still take small changes or have space again later.
      if (['ENOSPC', 'EDQUOT'].includes(code)) return;
      if (strangeCodes.has(code)) throw takesNoFiles(this.name, error);
      throw fileError('TARGET_UNWRITABLE', this.name, error);
    }
  }

  path(entryName: string): string {
    return join(this.root, entryName);
  }

  /** The path to show in messages. */
  shown(entryName: string): string {
    return escapeControls(join(this.name, entryName));
  }

  /**
   * Checks every folder on the path of the entry. Call this immediately before an operation, with no await in
   * between: anything checked earlier may have been replaced.
   * @throws P2mpError with this code
   */
  checkParents(entryName: string, code: ErrorCode): void {
    for (const parent of parentsOf(entryName)) {
      let stats: Stats | undefined;
      try {
        stats = lstatSync(this.path(parent), { throwIfNoEntry: false });
      } catch (error) {
        throw fileError(code, this.shown(parent), error);
      }
      if (stats === undefined) throw missing(code, this.shown(parent));
      refuseUnlessFolder(code, this.shown(parent), stats);
    }
  }

  /**
   * Checks that the name refers to the file that was opened. If a parent folder was replaced by a link for a
   * moment, another file may have been opened.
   * @throws P2mpError with this code
   */
  checkOpened(entryName: string, code: ErrorCode, opened: Pick<BigIntStats, 'dev' | 'ino'>): void {
    this.checkParents(entryName, code);
    let now: BigIntStats | undefined;
    try {
      now = lstatSync(this.path(entryName), { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      throw fileError(code, this.shown(entryName), error);
    }
    if (now !== undefined && now.dev === opened.dev && now.ino === opened.ino) return;
    throw new P2mpError(
      code,
      `${this.shown(entryName)}: was replaced during the transfer; send again`,
    );
  }

  /**
   * Returns the stats of the entry with this name, without following links; undefined if there is no such
   * entry.
   */
  look(entryName: string, code: ErrorCode): Stats | undefined {
    try {
      return lstatSync(this.path(entryName), { throwIfNoEntry: false });
    } catch (error) {
      throw fileError(code, this.shown(entryName), error);
    }
  }
}

/**
 * Errors from file systems that allow no new folders. The system's messages for these errors would mislead
 * the user.
 */
const strangeCodes = new Set(['ENOENT', 'EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL']);

function takesNoFiles(shown: string, cause: unknown): P2mpError {
  const reason = 'cannot create files there; choose another folder';
  return new P2mpError('TARGET_UNWRITABLE', `${shown}: ${reason}`, { cause });
}

async function makeTarget(name: string): Promise<void> {
  const link = await lstat(name).catch(() => undefined);
  if (link?.isSymbolicLink()) {
    const remedy = 'create its target or remove it';
    throw new P2mpError('TARGET_UNWRITABLE', `${name}: is a dangling symbolic link; ${remedy}`);
  }
  const made = await makeFolders(name).catch((error: NodeJS.ErrnoException) => {
    throw strangeCodes.has(error.code ?? '') ? takesNoFiles(name, error) : error;
  });
  if (made !== undefined) await syncFolder(dirname(made));
}

/** Yields the parent folders of an entry, outermost first. */
function* parentsOf(entryName: string): Generator<string> {
  for (let at = entryName.indexOf('/'); at !== -1; at = entryName.indexOf('/', at + 1)) {
    yield entryName.slice(0, at);
  }
}

/** Inspects what exists under the names of entries. Looks at each folder only once. */
export class TargetSurvey {
  private readonly folders = new SpreadMap<string, Promise<boolean>>();

  constructor(private readonly target: TargetFolder) {}

  /**
   * @returns what exists at the name of the entry; undefined if nothing does
   * @throws P2mpError TARGET_UNWRITABLE if one of its parents is a link or not a folder
   */
  async look(entryName: string): Promise<BigIntStats | undefined> {
    const parent = entryName.slice(0, Math.max(0, entryName.lastIndexOf('/')));
    if (parent !== '' && !(await this.hasFolder(parent))) return undefined;
    try {
      return await lstat(this.target.path(entryName), { bigint: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw fileError('TARGET_UNWRITABLE', this.target.shown(entryName), error);
    }
  }

  /**
   * Whether the folder exists.
   * @throws P2mpError TARGET_UNWRITABLE if the name refers to a link or to something else that is not a
   * folder
   */
  hasFolder(name: string): Promise<boolean> {
    let found = this.folders.get(name);
    if (found === undefined) {
      found = this.look(name).then((stats) => {
        if (stats === undefined) return false;
        refuseUnlessFolder('TARGET_UNWRITABLE', this.target.shown(name), stats);
        return true;
      });
      this.folders.set(name, found);
    }
    return found;
  }
}

export function refuseUnlessFolder(
  code: ErrorCode,
  shown: string,
  stats: Pick<Stats, 'isSymbolicLink' | 'isDirectory'>,
): void {
  if (stats.isSymbolicLink()) {
    throw new P2mpError(code, `${shown}: is a symbolic link; remove it or choose another folder`);
  }
  if (!stats.isDirectory()) {
    throw new P2mpError(code, `${shown}: is not a folder; move it away or choose another folder`);
  }
}

export function refuseFolder(
  code: ErrorCode,
  shown: string,
  stats: Pick<Stats, 'isDirectory'>,
): void {
  if (!stats.isDirectory()) return;
  throw new P2mpError(code, `${shown}: is a folder; move it away or choose another folder`);
}

function missing(code: ErrorCode, shown: string): P2mpError {
  return new P2mpError(code, `${shown}: was removed during the transfer; send again`);
}
