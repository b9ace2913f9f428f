/** How much of a receiver's disk one object may take, counted as a disk counts. */

import type { Steps } from '../base/steps.js';
import type { Manifest } from '../object/manifest.js';

export interface ObjectLimits {
  /** On the disk; rounded up to whole blocks. */
  readonly maxBytes: number;
  /** Files, folders and links. */
  readonly maxEntries: number;
  /** A block of the disk. */
  readonly allocationBytes: number;
}

/** The block of common file systems. */
export const commonAllocationBytes = 4096;

/** Entries that are counted in one step. */
const countedAtOnce = 50_000;

/** What the entries take: whole blocks for each file, and one for each entry without content. */
function* diskBytesOf({ entries }: Manifest, allocationBytes: number): Steps<number> {
  let bytes = 0;
  for (const [i, entry] of entries.entries()) {
    if (i % countedAtOnce === countedAtOnce - 1) yield;
    const sizeBytes = entry.kind === 'file' ? entry.sizeBytes : 0;
    bytes += Math.max(allocationBytes, roundUp(sizeBytes, allocationBytes));
  }
  return bytes;
}

/**
 * Before the manifest is known.
 * @returns why the content is more than a receiver takes; undefined where it is not
 */
export function findContentExcess(
  contentSizeBytes: number,
  { maxBytes, allocationBytes }: ObjectLimits,
): string | undefined {
  if (contentSizeBytes <= roundUp(maxBytes, allocationBytes)) return undefined;
  return `${contentSizeBytes} bytes are more than the limit of ${maxBytes} bytes`;
}

/** @returns why an object of so many entries is more than a receiver takes; undefined where it is not */
export function findCountExcess(count: number, { maxEntries }: ObjectLimits): string | undefined {
  if (count <= maxEntries) return undefined;
  return `${count} files, folders and links are more than the limit of ${maxEntries}`;
}

/** @returns why an object takes more than a receiver gives it; undefined where it does not */
export function* findSizeExcess(
  manifest: Manifest,
  { maxBytes, allocationBytes }: ObjectLimits,
): Steps<string | undefined> {
  const bytes = yield* diskBytesOf(manifest, allocationBytes);
  if (bytes <= roundUp(maxBytes, allocationBytes)) return undefined;
  const what = `${manifest.entries.length} files, folders and links take ${bytes} bytes`;
  return `${what} in disk blocks of ${allocationBytes}, more than the limit of ${maxBytes} bytes`;
}

function roundUp(bytes: number, unitBytes: number): number {
  return Math.ceil(bytes / unitBytes) * unitBytes;
}
