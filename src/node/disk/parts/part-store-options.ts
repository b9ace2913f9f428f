/** Options of a part store. */
import type { Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedFiles } from '../store/placed-files.js';
import type { PartOrigin } from './part-origin.js';

export interface PartStoreOptions {
  /** The target folder; created if missing. */
  readonly dir: string;
  /** Name of the part, 64 lower-case hex digits: the manifest digest, or a digest of it and the sender's key. */
  readonly partId: string;
  /**
   * The name of the part of an older version. If nothing else of the object is there, and it is a single file, the part
   * continues that one.
   */
  readonly earlierId?: string;
  /** Recorded in the part, if known. */
  readonly origin?: PartOrigin;
  readonly manifest: Manifest;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
  /** Whether existing files and folders get the sender's modes; by default they keep theirs. */
  readonly updatesModes?: boolean;
  /**
   * Files that this sender has placed. Only these files are compared with the sender's files. By default, all
   * existing files are compared.
   */
  readonly placed?: PlacedFiles;
  /** Budget of open files, shared with other stores; by default a separate budget of 16. */
  readonly fileBudget?: FileBudget;
  /** A checkpoint starts once this many bytes were written since the last checkpoint; 64 MiB by default. */
  readonly checkpointBytes?: number;
  /** A checkpoint starts at most this long after a write; 2 s by default. */
  readonly checkpointMs?: number;
  /** Whether `findDamage` always reads everything back. */
  readonly verifiesDisk?: boolean;
  /** The size of all objects that arrive here at the same time; by default only this one does. */
  readonly arrivingBytes?: () => number;
  /**
   * The digest of each block. What the journal records is then not read when the part is opened, because the caller
   * compares what it reads later.
   */
  readonly leafOf?: (block: number) => Uint8Array;
  /** How long a write waits for other writes that it can be combined with; 32 ms by default. */
  readonly gatherMs?: number;
  /**
   * Whether to list the entries that the sender does not send, for deletion; `protectedPaths` are not listed. By
   * default, nothing is listed.
   */
  readonly listsExtras?: boolean;
  /** Files and folders that are never deleted. */
  readonly protectedPaths?: readonly string[];
  /** Aborts an `open` that is still reading. */
  readonly signal?: AbortSignal;
}
