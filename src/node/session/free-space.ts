/** Room on the disk, before anything is written. */
import { statfs } from 'node:fs/promises';
import { P2mpError } from '../../errors.js';
import { formatBytes } from '../../format.js';
import { fileError, noInodes } from '../system-error.js';

/**
 * The least that a file with content takes on common file systems. What `statfs` says is no guide: network
 * file systems name the size of their transfers.
 */
export const leastAllocationBytes = 4096;

export interface SpaceNeed {
  readonly sizeBytes: number;
  /** Files, folders and links that are to be made. */
  readonly inodeCount: number;
}

/** @throws P2mpError TARGET_UNWRITABLE where the disk cannot hold it */
export async function checkFreeSpace(path: string, shown: string, need: SpaceNeed): Promise<void> {
  const { bavail, bsize, blocks, files, ffree } = await statfs(path).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', shown, error);
  });
  // Some file systems do not know their size, or make inodes as they are needed.
  const freeBytes = blocks === 0 ? Infinity : bavail * bsize;
  if (need.sizeBytes > freeBytes) {
    const message = `needs ${formatBytes(need.sizeBytes)}, ${formatBytes(freeBytes)} free; make room`;
    throw new P2mpError('TARGET_UNWRITABLE', `${shown}: ${message}`);
  }
  if (files > 0 && need.inodeCount > ffree) {
    const message = `needs ${need.inodeCount} inodes, ${ffree} free: ${noInodes}`;
    throw new P2mpError('TARGET_UNWRITABLE', `${shown}: ${message}`);
  }
}
