/**
 * Checks whether names below the target folder are on the same disk as the parts. A finished file can be
 * renamed only within one mount; without this check, the transfer would fail at its end.
 */
import { readFile } from 'node:fs/promises';
import { sep } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { partsFolderName } from '../parts/part-folder.js';
import { SpreadMap } from './spread-map.js';
import type { TargetFolder, TargetSurvey } from './target-folder.js';

export class SameDisk {
  private readonly folders = new SpreadMap<string, Promise<string | undefined>>();

  private constructor(
    private readonly target: TargetFolder,
    private readonly survey: TargetSurvey,
    /** Device of the target folder. */
    private readonly device: bigint | undefined,
    /** Mount points below the target folder. A `mount --bind` of the same device is a separate mount too. */
    private readonly mounts: ReadonlySet<string>,
  ) {}

  static async open(target: TargetFolder, survey: TargetSurvey): Promise<SameDisk> {
    const device = (await survey.look(''))?.dev;
    const below = target.root.endsWith(sep) ? target.root : `${target.root}${sep}`;
    const mounts = (await mountPoints()).filter((path) => path.startsWith(below));
    if (mounts.includes(target.path(partsFolderName))) {
      const message = 'is a separate file system, so files cannot be renamed out of it; unmount it';
      throw new P2mpError('TARGET_UNWRITABLE', `${target.shown(partsFolderName)}: ${message}`);
    }
    return new SameDisk(target, survey, device, new Set(mounts));
  }

  /** @throws P2mpError TARGET_UNWRITABLE if a file or link could not be renamed to this name */
  async check(entryName: string): Promise<void> {
    const path = this.target.path(entryName);
    const mount = this.mounts.has(path) ? entryName : await this.mountOf(parentOf(entryName));
    if (mount === undefined) return;
    const shown = this.target.shown(mount);
    const message = `is on another disk than ${this.target.name}; receive into it with a separate --dir`;
    throw new P2mpError('TARGET_UNWRITABLE', `${shown}: ${message}`);
  }

  /** @returns the outermost folder on this path that is on another disk; undefined if there is none */
  private mountOf(folder: string): Promise<string | undefined> {
    if (folder === '') return Promise.resolve(undefined);
    let found = this.folders.get(folder);
    if (found === undefined) {
      found = this.findMount(folder);
      this.folders.set(folder, found);
    }
    return found;
  }

  private async findMount(folder: string): Promise<string | undefined> {
    const above = await this.mountOf(parentOf(folder));
    if (above !== undefined) return above;
    if (this.mounts.has(this.target.path(folder))) return folder;
    const stats = await this.survey.look(folder);
    return stats === undefined || stats.dev === this.device ? undefined : folder;
  }
}

function parentOf(entryName: string): string {
  return entryName.slice(0, Math.max(0, entryName.lastIndexOf('/')));
}

/** @returns the paths of all mount points; empty if the system does not list them */
export async function mountPoints(): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  // The fifth field is the mount point, with octal escapes for blanks and backslashes; see proc(5).
  return text.split('\n').flatMap((line) => {
    const [, , , , point] = line.split(' ');
    if (point === undefined) return [];
    return [point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)))];
  });
}
