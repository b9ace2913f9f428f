/** A served path as it is on disk now: its manifest, and the identity of each file, which every read checks. */
import type { BigIntStats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import type { FileEntry } from '../../../object/manifest.js';
import { encodeInSteps, manifestLimits } from '../../../object/manifest.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import { runInTurns } from '../../in-turns.js';
import { forEachLimited } from '../../limited-concurrency.js';
import { ObjectSource } from '../source/object-source.js';
import type { SentFile } from '../source/source-content.js';
import { changed, readError } from '../source/source-errors.js';
import { modifiedMsOf } from '../source/walk-entries.js';
import { FileIdentities } from './file-identities.js';

const inspectedAtOnce = 32;

export class ListedPath {
  private constructor(
    readonly path: string,
    readonly source: ObjectSource,
    readonly manifestBytes: Uint8Array,
    readonly identities: FileIdentities,
  ) {}

  /**
   * Lists a file or a folder. Later reads of its source fail with SOURCE_CHANGED if the file is no longer the one that
   * was listed, however the change came about.
   * @throws P2mpError SOURCE_UNREADABLE, SOURCE_CHANGED; the signal's reason after it aborts
   */
  static async open(path: string, signal?: AbortSignal): Promise<ListedPath> {
    let identities = FileIdentities.forFiles(0);
    const source: ObjectSource = await ObjectSource.open({
      paths: [path],
      checkRead: async (handle, index) => {
        if (identities.isSame(index, await handle.stat({ bigint: true }))) return;
        throw changedFile(at(source.files, index));
      },
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      identities = await identify(source.files, signal);
      const manifestBytes = await runInTurns(encodeInSteps(source.manifest), signal);
      if (manifestBytes.length > manifestLimits.sizeBytes) {
        throw new P2mpError(
          'SOURCE_UNREADABLE',
          `${path}: its ${source.manifest.entries.length} entries are more than one object can have; offer its folders one by one`,
        );
      }
      return new ListedPath(path, source, manifestBytes, identities);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** Whether both listings have the same entries and the same files. */
  isSameAs(other: ListedPath): boolean {
    return (
      isEqualBytes(this.manifestBytes, other.manifestBytes) &&
      isEqualBytes(this.identities.bytes, other.identities.bytes)
    );
  }

  /**
   * Looks at all files again.
   * @throws P2mpError SOURCE_CHANGED, SOURCE_UNREADABLE, with the name of a file that is no longer the one listed
   */
  async verify(signal?: AbortSignal): Promise<void> {
    const { files } = this.source;
    await forEachLimited(files, inspectedAtOnce, async (file, index) => {
      signal?.throwIfAborted();
      if (!this.identities.isSame(index, await statsOf(file))) throw changedFile(file);
    });
  }

  /** Like `ObjectSource.read`. */
  read(offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
    return this.source.read(offsetBytes, sizeBytes);
  }

  /** Like `ObjectSource.peek`. */
  peek(offsetBytes: number, sizeBytes: number): Uint8Array | undefined {
    return this.source.peek(offsetBytes, sizeBytes);
  }

  close(): Promise<void> {
    return this.source.close();
  }
}

async function identify(files: readonly SentFile[], signal?: AbortSignal): Promise<FileIdentities> {
  const identities = FileIdentities.forFiles(files.length);
  await forEachLimited(files, inspectedAtOnce, async (file, index) => {
    signal?.throwIfAborted();
    const stats = await statsOf(file);
    const isListed =
      stats.isFile() &&
      stats.size === BigInt(file.entry.sizeBytes) &&
      isTimeListed(stats, file.entry);
    if (!isListed) throw changedFile(file);
    identities.set(index, stats);
  });
  return identities;
}

/** Whether a file has the time that was listed, which is a number with a fraction and therefore rounded. */
function isTimeListed({ mtimeNs }: BigIntStats, { modifiedMs }: FileEntry): boolean {
  const mtimeMs = modifiedMsOf({ mtimeMs: Number(mtimeNs) / 1e6 });
  return Math.abs(mtimeMs - modifiedMs) <= Math.max(0.002, Math.abs(modifiedMs) * 2 ** -51);
}

/** A link at a path that the user gave is followed. */
async function statsOf({ path, isGiven }: SentFile): Promise<BigIntStats> {
  const options = { bigint: true } as const;
  return (isGiven ? stat(path, options) : lstat(path, options)).catch((error: unknown) => {
    throw readError(path, error);
  });
}

function changedFile({ path }: SentFile) {
  return changed(path, 'was written to');
}
