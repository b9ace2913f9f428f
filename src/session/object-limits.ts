/** Limits of a receiver for each object: disk space and number of entries. */

import type { Steps } from '../base/steps.js';
import type { Manifest } from '../object/manifest.js';

export interface ObjectLimits {
  /** Maximum disk space. The size of each entry is rounded up to whole disk blocks. */
  readonly maxBytes: number;
  /** Maximum number of files, folders and links together. */
  readonly maxEntries: number;
  /** The size of a disk block. */
  readonly allocationBytes: number;
}

/** The block size of common file systems. */
export const commonAllocationBytes = 4096;

/** The number of entries counted in one step. */
const countedAtOnce = 50_000;

/**
 * Disk space of all entries. A file takes whole blocks; an empty file, a folder or a link takes one block.
 */
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
 * Checks the content size alone, before the manifest is known.
 * @returns why the content exceeds the limits; undefined if it does not
 */
export function findContentExcess(
  contentSizeBytes: number,
  { maxBytes, allocationBytes }: ObjectLimits,
): string | undefined {
  if (contentSizeBytes <= roundUp(maxBytes, allocationBytes)) return undefined;
  return `${contentSizeBytes} bytes are more than the limit of ${maxBytes} bytes`;
}

/** @returns why this number of entries exceeds the limits; undefined if it does not */
export function findCountExcess(count: number, { maxEntries }: ObjectLimits): string | undefined {
  if (count <= maxEntries) return undefined;
  return `${count} files, folders and links are more than the limit of ${maxEntries}`;
}

/** @returns why the object exceeds the limits; undefined if it does not */
export function* findSizeExcess(
  manifest: Manifest,
  { maxBytes, allocationBytes }: ObjectLimits,
): Steps<string | undefined> {
  const bytes = yield* diskBytesOf(manifest, allocationBytes);
  if (bytes <= roundUp(maxBytes, allocationBytes)) return undefined;
  const what = `${manifest.entries.length} files, folders and links take ${bytes} bytes`;
  return `${what} in disk blocks of ${allocationBytes} bytes; the limit is ${maxBytes} bytes`;
}

function roundUp(bytes: number, unitBytes: number): number {
  return Math.ceil(bytes / unitBytes) * unitBytes;
}
