/** Options of a part store. */
import type { Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/messages.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedFiles } from '../store/placed-files.js';
import type { PartOrigin } from './part-origin.js';

export interface PartStoreOptions {
  /** The target folder; created if missing. */
  readonly dir: string;
  /** Identifies the object and names its part; 64 lower-case hexadecimal digits. */
  readonly objectId: string;
  /** Recorded in the part, if known. */
  readonly origin?: PartOrigin;
  readonly manifest: Manifest;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
  /** Whether existing files and folders get the sender's modes; by default they keep theirs. */
  readonly updatesModes?: boolean;
  /**
   * Files that this sender has placed. Only these files are compared with the offer; by default, all existing
   * files are.
   */
  readonly placed?: PlacedFiles;
  /** Budget of open files, shared with other stores; by default a separate budget of 16. */
  readonly fileBudget?: FileBudget;
  /** Number of bytes written until the next checkpoint; 64 MiB by default. */
  readonly checkpointBytes?: number;
  /** Time from a write to the next checkpoint; 2 s by default. */
  readonly checkpointMs?: number;
  /** Whether `findDamage` always reads everything back. */
  readonly verifiesDisk?: boolean;
  /** How long a write waits for other writes that it can be combined with; 32 ms by default. */
  readonly gatherMs?: number;
  /** Aborts an `open` that is still reading. */
  readonly signal?: AbortSignal;
}
