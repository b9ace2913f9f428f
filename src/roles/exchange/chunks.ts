/**
 * Follows the chunks of an object's files as its blocks arrive. Chunks are what the log of an exchange counts: pieces of
 * each file of the same size, numbered from 0. A block can hold pieces of several chunks.
 */
import type { TimeMs } from '../../base/machine.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import type { FileEntry, Manifest } from '../../object/manifest.js';

export const chunkSizeBytes = 256 * 1024;

/** A chunk that is complete. */
export interface ArrivedChunk {
  /** The number of the file among the files of its object. */
  readonly file: number;
  readonly entry: FileEntry;
  /** Its number within the file. */
  readonly chunk: number;
  readonly sizeBytes: number;
  /** The peers that sent it; none if it was held before. */
  readonly sources: readonly string[];
  readonly startMs: TimeMs;
  readonly endMs: TimeMs;
  /** Whether it is the last one of its file to arrive. */
  readonly isFileComplete: boolean;
}

interface OpenChunk {
  readonly file: OpenFile;
  readonly chunk: number;
  /** Within the content; the end is exclusive. */
  readonly startByte: number;
  readonly endByte: number;
  readonly sources: Set<string>;
  missingBlocks: number;
  startMs: TimeMs;
}

interface OpenFile {
  readonly file: number;
  readonly entry: FileEntry;
  missingChunks: number;
}

export class Chunks {
  /** In the order of the content. */
  private readonly chunks: OpenChunk[] = [];
  /** The files that have no content, with their numbers among the files of the object. */
  readonly emptyFiles: { readonly number: number; readonly entry: FileEntry }[] = [];
  private readonly lastArrivalMs = new Map<string, TimeMs>();
  /** The blocks that have arrived are counted once. */
  private readonly counted: Uint8Array;

  /** @param beganAtMs when blocks were first asked for */
  constructor(
    manifest: Manifest,
    private readonly blockSizeBytes: number,
    private readonly beganAtMs: TimeMs,
  ) {
    this.counted = new Uint8Array(Math.ceil(manifest.contentSizeBytes / blockSizeBytes));
    let startByte = 0;
    let number = 0;
    for (const entry of manifest.entries) {
      if (entry.kind !== 'file') continue;
      this.addFile(number++, entry, startByte);
      startByte += entry.sizeBytes;
    }
  }

  private addFile(number: number, entry: FileEntry, startByte: number): void {
    const { blockSizeBytes } = this;
    if (entry.sizeBytes === 0) this.emptyFiles.push({ number, entry });
    const missingChunks = Math.ceil(entry.sizeBytes / chunkSizeBytes);
    const file = { file: number, entry, missingChunks };
    for (let chunk = 0; chunk < missingChunks; chunk++) {
      const from = startByte + chunk * chunkSizeBytes;
      const to = Math.min(startByte + entry.sizeBytes, from + chunkSizeBytes);
      const firstBlock = Math.floor(from / blockSizeBytes);
      const missingBlocks = Math.ceil(to / blockSizeBytes) - firstBlock;
      const range = { startByte: from, endByte: to };
      this.chunks.push({ file, chunk, ...range, missingBlocks, startMs: 0, sources: new Set() });
    }
  }

  /** These blocks were held before. @returns the chunks that are complete */
  *takeHeld(nowMs: TimeMs, held: ReadonlyRangeSet): Iterable<ArrivedChunk> {
    for (const { start, end } of held.ranges())
      for (let block = start; block < end; block++)
        yield* this.take(nowMs, block, undefined, nowMs);
  }

  /** A block has arrived from a source. @returns the chunks that are complete */
  takeBlock(nowMs: TimeMs, block: number, source: string): Iterable<ArrivedChunk> {
    const startMs = this.lastArrivalMs.get(source) ?? this.beganAtMs;
    this.lastArrivalMs.set(source, nowMs);
    return this.take(nowMs, block, source, startMs);
  }

  private *take(
    nowMs: TimeMs,
    block: number,
    source: string | undefined,
    startMs: TimeMs,
  ): Iterable<ArrivedChunk> {
    if (this.counted[block] !== 0) return;
    this.counted[block] = 1;
    const { blockSizeBytes, chunks } = this;
    const endByte = (block + 1) * blockSizeBytes;
    for (let i = this.firstBehind(block * blockSizeBytes); i < chunks.length; i++) {
      const chunk = chunks[i] as OpenChunk;
      if (chunk.startByte >= endByte) return;
      if (chunk.sources.size === 0) chunk.startMs = startMs;
      if (source !== undefined) chunk.sources.add(source);
      if (--chunk.missingBlocks === 0) yield this.finish(nowMs, chunk);
    }
  }

  private finish(
    endMs: TimeMs,
    { file, chunk, sources, startMs, ...range }: OpenChunk,
  ): ArrivedChunk {
    const sizeBytes = range.endByte - range.startByte;
    const isFileComplete = --file.missingChunks === 0;
    const { file: number, entry } = file;
    return {
      ...{ file: number, entry, chunk, sizeBytes, sources: [...sources] },
      ...{ startMs: sources.size === 0 ? endMs : startMs, endMs, isFileComplete },
    };
  }

  /** Index of the first chunk that ends after the offset. */
  private firstBehind(offsetBytes: number): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.chunks[middle] as OpenChunk).endByte <= offsetBytes) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
