/** What is not stored of an object on disk, because its sender can no longer read it (SESSIONS 6.12). */
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import type { Entry, Manifest } from '../../../object/manifest.js';
import type { Placing } from '../store/prepare-files.js';

export class WithdrawnFiles {
  private entries: ReadonlySet<Entry> = new Set();
  private blocks: ReadonlyRangeSet = new RangeSet();

  constructor(private readonly manifest: Manifest) {}

  /**
   * @param numbers the entries by their numbers in the manifest
   * @param blocks blocks that will not be written any more
   */
  set(numbers: ReadonlySet<number>, blocks: ReadonlyRangeSet): void {
    this.entries = new Set(this.manifest.entries.filter((_, index) => numbers.has(index)));
    this.blocks = blocks;
  }

  has(entry: Entry): boolean {
    return this.entries.has(entry);
  }

  /** Removes the blocks that will not be written any more. */
  removeFrom(blocks: RangeSet): void {
    for (const { start, end } of this.blocks.ranges()) blocks.remove(start, end);
  }

  /** What is left to place. The content is verified, so nothing is read of withdrawn files any more. */
  placingOf(placing: Placing): Placing {
    const { files, manifest } = placing;
    if (this.entries.size === 0) return placing;
    for (const file of files.layout.files) if (this.has(file.entry)) files.setWithdrawn(file);
    const entries = manifest.entries.filter((entry) => !this.has(entry));
    return { ...placing, manifest: { ...manifest, entries } };
  }
}
