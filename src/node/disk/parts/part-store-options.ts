/** Options of a part store. */
import type { Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/messages.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedFiles } from '../store/placed-files.js';
import type { PartOrigin } from './part-origin.js';

export interface PartStoreOptions {
  /** The target folder; created if missing. */
  readonly dir: string;
  /** Names the object and its part: 64 lower-case hexadecimal digits. */
  readonly objectId: string;
  /** Recorded in the part, if known. */
  readonly origin?: PartOrigin;
  readonly manifest: Manifest;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
  /** Whether existing files and folders get the sender's modes; by default they keep theirs. */
  readonly updatesModes?: boolean;
  /** Files that this sender has placed; only these are compared with its offer. By default, all existing files are. */
  readonly placed?: PlacedFiles;
  /** Shared with other stores; by default a budget of 16 open files. */
  readonly fileBudget?: FileBudget;
  /** A checkpoint follows after this many written bytes; 64 MiB by default. */
  readonly checkpointBytes?: number;
  /** A checkpoint follows after this time; 2 s by default. */
  readonly checkpointMs?: number;
  /** Whether `findDamage` always reads everything back. */
  readonly verifiesDisk?: boolean;
  /** How long a write waits for other writes that it can be combined with; 32 ms by default. */
  readonly gatherMs?: number;
  /** Aborts an `open` that is still reading. */
  readonly signal?: AbortSignal;
}
