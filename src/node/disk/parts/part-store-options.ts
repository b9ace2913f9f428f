/** What a store of parts is opened with. */
import type { Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/messages.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedFiles } from '../store/placed-files.js';
import type { PartOrigin } from './part-origin.js';

export interface PartStoreOptions {
  /** The folder everything goes into; made if missing. */
  readonly dir: string;
  /** Names the object, and its part: 64 hexadecimal digits, lower case. */
  readonly objectId: string;
  /** Noted in the part where it is known. */
  readonly origin?: PartOrigin;
  readonly manifest: Manifest;
  readonly blockSizeBytes: number;
  readonly existing: ExistingFiles;
  /** Whether files and folders that exist get the sender's modes; they keep theirs if left out. */
  readonly updatesModes?: boolean;
  /** Files that its sender has placed: no others are compared with what it offers. If left out, all are. */
  readonly placed?: PlacedFiles;
  /** Shared with other stores; of its own, 16 files at once, if left out. */
  readonly fileBudget?: FileBudget;
  /** Written bytes after which a checkpoint is made; 64 MiB. */
  readonly checkpointBytes?: number;
  /** Time after which what was written is noted; 2 s. */
  readonly checkpointMs?: number;
  /** Whether `findDamage` reads back everything, whatever that takes. */
  readonly verifiesDisk?: boolean;
  /** How long a write waits for others, so that they go to the disk together; 32 ms. */
  readonly gatherMs?: number;
  /** Ends an `open` that still reads. */
  readonly signal?: AbortSignal;
}
