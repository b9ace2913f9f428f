/**
 * What one receiver would delete, as its sender knows it. A receiver may lie, so the sender keeps a bounded number of
 * names.
 */

import type { Extra, Extras } from '../wire/lists.js';
import { checkEntryName, foldersAbove } from './entry-name.js';

/** Maximum number of names of one receiver that a sender keeps for the result. */
export const maxDeletionNames = 1000;

/** Maximum number of folders that are remembered because an entry in them is spared. */
const maxKeptFolders = 2000;

/** The name of an entry in a result. The name of a folder ends with a slash. */
export function shownName({ name, isFolder }: Extra): string {
  return isFolder ? `${name}/` : name;
}

export class DeletionNames {
  private parts = new Map<number, readonly string[]>();
  private nameCount = 0;
  /** Folders that stay because an entry in them is spared; with a slash at the end. */
  private readonly keptFolders = new Set<string>();

  /**
   * Notes a part of the list. A part that arrives again replaces the earlier copy.
   * @param isSpared whether the receiver must not delete an entry; called only with valid names
   * @returns the places within the part of the entries that the receiver must not delete
   */
  take({ part, extras }: Extras, isSpared: (name: string, isFolder: boolean) => boolean): number[] {
    const spared: number[] = [];
    const names: string[] = [];
    for (const [place, extra] of extras.entries()) {
      const { name, isFolder } = extra;
      const isValid = checkEntryName(name, 'posix') === undefined;
      if (isValid && !isSpared(name, isFolder)) {
        names.push(shownName(extra));
        continue;
      }
      spared.push(place);
      if (isValid) this.keepFoldersOf(name);
    }
    this.note(part, names);
    return spared;
  }

  /** Forgets everything: the receiver has restarted, and announces its list again. */
  clear(): void {
    this.parts = new Map();
    this.nameCount = 0;
    this.keptFolders.clear();
  }

  /**
   * The first names that the receiver deletes, in the order of its list. Names of folders end with a slash.
   */
  get names(): readonly string[] {
    const parts = [...this.parts].sort(([a], [b]) => a - b);
    const names = parts.flatMap(([, some]) => some);
    return names.filter((name) => !this.keptFolders.has(name)).slice(0, maxDeletionNames);
  }

  private note(part: number, names: readonly string[]): void {
    const earlier = this.parts.get(part)?.length;
    if (earlier === undefined && (this.nameCount >= maxDeletionNames || names.length === 0)) return;
    this.nameCount += names.length - (earlier ?? 0);
    // Empty parts would have no bound.
    if (names.length === 0) this.parts.delete(part);
    else this.parts.set(part, names);
  }

  private keepFoldersOf(name: string): void {
    for (const folder of foldersAbove(name)) {
      if (this.keptFolders.size >= maxKeptFolders) return;
      this.keptFolders.add(`${folder}/`);
    }
  }
}
