/** Which entries receivers must not delete, although this sender does not send them. */
import { P2mpError } from '../../../base/errors.js';
import { foldersAbove } from '../../../object/entry-name.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import type { Exclusions } from './exclusions.js';
import type { ObjectSource } from './object-source.js';

export class SparedEntries {
  /** The names of the folders that the user named, with a slash at the end; the longest first. */
  private readonly roots: readonly string[];
  /** Entries that could not be sent. A receiver may have them, and everything below them, from an earlier time. */
  private readonly skipped: ReadonlySet<string>;

  private constructor(
    { roots, skipped }: Pick<ObjectSource, 'roots' | 'skipped'>,
    private readonly exclusions: Exclusions,
  ) {
    this.roots = roots.toSorted((a, b) => b.length - a.length);
    this.skipped = new Set(skipped.map(({ name }) => name));
  }

  /** @throws P2mpError INVALID_ARGUMENT if nothing could be deleted, or only where receivers keep other things */
  static create(
    source: Pick<ObjectSource, 'roots' | 'skipped' | 'manifest'>,
    exclusions: Exclusions,
    existing: ExistingFiles,
  ): SparedEntries {
    if (existing === 'keep') {
      throw invalid('--no-clobber keeps what receivers have, so it excludes this; give only one');
    }
    if (source.roots.includes('')) {
      throw invalid(
        "the content of a folder goes into the receiver's own folder, where nothing is deleted; name the folder itself, or give --dest FOLDER/",
      );
    }
    const isSent = source.manifest.entries.some(
      (entry) => entry.kind === 'folder' && entry.isHolder !== true,
    );
    if (!isSent) {
      throw invalid(
        'none of the paths is a folder, so there is nothing to delete in; leave it out',
      );
    }
    return new SparedEntries(source, exclusions);
  }

  /** @param name the name that the entry would have in the object */
  has(name: string, isFolder: boolean): boolean {
    const root = this.roots.find((each) => name.startsWith(each));
    if (root === undefined || this.isSkipped(name)) return true;
    return this.exclusions.has(name.slice(root.length), isFolder);
  }

  private isSkipped(name: string): boolean {
    if (this.skipped.size === 0) return false;
    if (this.skipped.has(name)) return true;
    for (const folder of foldersAbove(name)) if (this.skipped.has(folder)) return true;
    return false;
  }
}

function invalid(reason: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', `--delete: ${reason}`);
}
