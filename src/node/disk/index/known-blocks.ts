/**
 * Finds the blocks of an object whose digests are known from an earlier state of it. A block is known if all its bytes
 * lie in files that have not changed, and lay in one block then, too. So a file that keeps its size costs only its own
 * blocks; one whose size changes moves the blocks behind it, which count as new.
 */
import { at } from '../../../base/assert.js';
import type { Manifest } from '../../../object/manifest.js';
import { decodeInSteps } from '../../../object/manifest.js';
import { digestSizeBytes, standardBlockSizeBytes } from '../../../wire/sizes.js';
import { forEachInTurns, runInTurns } from '../../in-turns.js';
import type { FileIdentities } from './file-identities.js';
import type { ListedPath } from './listed-path.js';

/** The leaf digests of an object, and the state of its files to which they belong. */
export interface LeafIndex {
  readonly manifestBytes: Uint8Array;
  /** In the order of the files in the manifest. */
  readonly identities: FileIdentities;
  /** The concatenated digests of the first blocks, or of all of them. */
  readonly leaves: Uint8Array;
}

export class KnownBlocks {
  /** The first file that overlaps the block asked for last. */
  private firstFile = 0;

  private constructor(
    private readonly listed: ListedPath,
    private readonly leaves: Uint8Array,
    private readonly earlierSizeBytes: number,
    /** For each file, where its content was earlier; -1 if it is new or has changed. */
    private readonly earlierOffsets: Float64Array,
  ) {}

  /** @returns undefined if the earlier state is damaged */
  static async find(listed: ListedPath, earlier: LeafIndex): Promise<KnownBlocks | undefined> {
    const manifest = await runInTurns(decodeInSteps(earlier.manifestBytes, 'posix'));
    if ('fault' in manifest) return undefined;
    const places = await placesOf(manifest);
    if (places.size !== earlier.identities.fileCount) return undefined;
    const { files } = listed.source;
    const earlierOffsets = new Float64Array(files.length).fill(-1);
    await forEachInTurns(files, ({ entry }, index) => {
      const place = places.get(entry.name);
      if (place === undefined) return;
      if (!listed.identities.isSameAs(index, earlier.identities, place.index)) return;
      earlierOffsets[index] = place.offsetBytes;
    });
    return new KnownBlocks(listed, earlier.leaves, manifest.contentSizeBytes, earlierOffsets);
  }

  /**
   * The digest of a block, if it is known. Blocks are asked for in order.
   * @param sizeBytes the size of this block
   */
  leaf(block: number, sizeBytes: number): Uint8Array | undefined {
    const start = block * standardBlockSizeBytes;
    const end = start + sizeBytes;
    const { files } = this.listed.source;
    while (endOf(at(files, this.firstFile)) <= start) this.firstFile++;
    let earlierStart: number | undefined;
    for (let i = this.firstFile; i < files.length; i++) {
      const { entry, offsetBytes } = at(files, i);
      if (offsetBytes >= end) break;
      if (entry.sizeBytes === 0) continue;
      const earlierOffset = at(this.earlierOffsets, i);
      if (earlierOffset < 0) return undefined;
      const moved = earlierOffset - offsetBytes + start;
      if (earlierStart !== undefined && moved !== earlierStart) return undefined;
      earlierStart = moved;
    }
    return earlierStart === undefined ? undefined : this.earlierLeaf(earlierStart, sizeBytes);
  }

  /** The digest of these bytes of the earlier content, if they were one block. */
  private earlierLeaf(startBytes: number, sizeBytes: number): Uint8Array | undefined {
    if (startBytes < 0 || startBytes % standardBlockSizeBytes !== 0) return undefined;
    const leftBytes = this.earlierSizeBytes - startBytes;
    if (Math.min(leftBytes, standardBlockSizeBytes) !== sizeBytes) return undefined;
    const from = (startBytes / standardBlockSizeBytes) * digestSizeBytes;
    if (from + digestSizeBytes > this.leaves.length) return undefined;
    return this.leaves.subarray(from, from + digestSizeBytes);
  }
}

interface Place {
  /** Among the files. */
  readonly index: number;
  readonly offsetBytes: number;
}

async function placesOf({ entries }: Manifest): Promise<ReadonlyMap<string, Place>> {
  const places = new Map<string, Place>();
  let offsetBytes = 0;
  await forEachInTurns(entries, (entry) => {
    if (entry.kind !== 'file') return;
    places.set(entry.name, { index: places.size, offsetBytes });
    offsetBytes += entry.sizeBytes;
  });
  return places;
}

function endOf(file: { offsetBytes: number; entry: { sizeBytes: number } }): number {
  return file.offsetBytes + file.entry.sizeBytes;
}
