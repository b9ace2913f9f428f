/** Entries of an object that can no longer be read while it is being sent, and are withdrawn (SESSIONS 6.12). */
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { at } from '../../../base/assert.js';
import type { Manifest } from '../../../object/manifest.js';
import type { WithdrawnEntry } from '../../../object/withdrawn-content.js';
import { describeWithdrawal } from '../../../object/withdrawn-content.js';
import type { WithdrawalReason } from '../../../wire/withdrawn.js';
import type { SentFile } from './source-content.js';
import type { SkippedEntry } from './walk-entries.js';

export class LostEntries {
  /**
   * Withdraws entries from the session. Without it, a file that cannot be read is an error.
   * @returns whether the session continues without them
   */
  withdraw: ((entries: readonly WithdrawnEntry[]) => boolean) | undefined;
  private readonly lost = new Map<number, WithdrawnEntry>();
  private readonly byIndex: ReadonlyMap<number, SentFile>;
  private lostFiles = 0;

  constructor(
    private readonly manifest: Manifest,
    private readonly files: readonly SentFile[],
  ) {
    this.byIndex = new Map(files.map((file) => [file.entryIndex, file]));
  }

  /** Everything that was withdrawn. */
  get entries(): readonly WithdrawnEntry[] {
    return [...this.lost.values()];
  }

  /** The same, for users. */
  get skipped(): readonly SkippedEntry[] {
    return [...this.lost.values()].map(({ index, reason }) => ({
      name: at(this.manifest.entries, index).name,
      reason: describeWithdrawal(reason),
    }));
  }

  has({ entryIndex }: SentFile): boolean {
    return this.lost.has(entryIndex);
  }

  /** A file cannot be read. @returns whether the object is sent without it */
  async take(file: SentFile, reason: WithdrawalReason): Promise<boolean> {
    if (this.withdraw === undefined) return false;
    const isInFolder = reason === 'removed' && !file.isGiven;
    const folder = isInFolder ? await this.lostFolder(file) : undefined;
    // Another read of the same file can have failed in the meantime.
    if (this.has(file)) return true;
    const { entryIndex: index } = file;
    const { start, end } = folder ?? { start: index, end: index + 1 };
    const entries: WithdrawnEntry[] = [];
    let files = 0;
    for (let i = start; i < end; i++) {
      if (this.lost.has(i)) continue;
      const own = this.byIndex.get(i);
      if (own !== undefined) files++;
      const { offsetBytes = 0, entry } = own ?? {};
      entries.push({ index: i, reason, offsetBytes, sizeBytes: entry?.sizeBytes ?? 0 });
    }
    // An object without any of its files is of no use.
    if (this.lostFiles + files === this.files.length || !this.withdraw(entries)) return false;
    this.lostFiles += files;
    for (const entry of entries) this.lost.set(entry.index, entry);
    return true;
  }

  /** The highest folder of the object above this file that no longer exists, with all that is in it. */
  private async lostFolder(file: SentFile): Promise<{ start: number; end: number } | undefined> {
    const { entries } = this.manifest;
    let { path, entryIndex: start } = file;
    let name = file.entry.name;
    let found: number | undefined;
    while (name.includes('/')) {
      name = name.slice(0, name.lastIndexOf('/'));
      path = dirname(path);
      const stats = await lstat(path).catch(() => undefined);
      if (stats !== undefined) break;
      while (start >= 0 && entries[start]?.name !== name) start--;
      const folder = entries[start];
      if (folder?.kind !== 'folder' || folder.isHolder === true) break;
      found = start;
    }
    if (found === undefined) return undefined;
    const within = `${at(entries, found).name}/`;
    let end = found + 1;
    while (entries[end]?.name.startsWith(within) === true) end++;
    return { start: found, end };
  }
}
