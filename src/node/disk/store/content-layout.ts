/** Maps the content of an object to its files, which are concatenated in the order of the manifest. */
import { assert } from '../../../base/assert.js';
import type { Range } from '../../../base/range-set.js';
import type { Entry, FileEntry, Manifest } from '../../../object/manifest.js';
import { forEachInTurns } from '../../in-turns.js';

export interface ContentFile {
  /** Index among the files only, from 0. */
  readonly number: number;
  readonly entry: FileEntry;
  /**
   * Range in the content, from `start` (inclusive) to `end` (exclusive). Both are equal for an empty file.
   */
  readonly start: number;
  readonly end: number;
}

/** A range of the content within one file. */
export interface Piece {
  readonly file: ContentFile;
  /** Offset in the file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export class ContentLayout {
  private constructor(
    readonly files: readonly ContentFile[],
    readonly sizeBytes: number,
  ) {}

  /** @throws the signal's reason */
  static async create({ entries }: Manifest, signal?: AbortSignal): Promise<ContentLayout> {
    const files: ContentFile[] = [];
    let start = 0;
    const add = (entry: Entry) => {
      if (entry.kind !== 'file') return;
      const end = start + entry.sizeBytes;
      files.push({ number: files.length, entry, start, end });
      start = end;
    };
    await forEachInTurns(entries, add, signal);
    return new ContentLayout(files, start);
  }

  /** Names of the files that overlap the range; none if the range starts after the end of the content. */
  namesAt(start: number, end: number): string[] {
    const pieces = this.pieces(start, Math.min(end, this.sizeBytes));
    return [...pieces].map(({ file }) => file.entry.name);
  }

  /** The pieces of the range, in order; empty files have none. */
  *pieces(start: number, end: number): Generator<Piece> {
    assert(start >= 0 && end <= this.sizeBytes, 'a range within the content');
    for (let i = this.firstBehind(start), from = start; from < end; i++) {
      const file = this.files[i] as ContentFile;
      const to = Math.min(end, file.end);
      if (to > from) yield { file, offsetBytes: from - file.start, sizeBytes: to - from };
      from = to;
    }
  }

  /** Index of the first file that ends after the offset. */
  private firstBehind(offsetBytes: number): number {
    let low = 0;
    let high = this.files.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.files[middle] as ContentFile).end <= offsetBytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Returns the blocks that lie entirely within one of the ranges. The ranges must not touch each other. */
export function wholeBlocks(
  ranges: Iterable<Range>,
  blockSizeBytes: number,
  contentSizeBytes: number,
): Range[] {
  const blocks: Range[] = [];
  for (const range of ranges) {
    const start = Math.ceil(range.start / blockSizeBytes);
    // The last block is shorter.
    const isLast = range.end === contentSizeBytes;
    const end = (isLast ? Math.ceil : Math.floor)(range.end / blockSizeBytes);
    if (start < end) blocks.push({ start, end });
  }
  return blocks;
}
