/** Checks free disk space before anything is written. */
import { statfs } from 'node:fs/promises';
import { P2mpError } from '../../../base/errors.js';
import { formatBytes } from '../../../base/format.js';
import { commonAllocationBytes } from '../../../session/object-limits.js';
import { fileError, noInodes } from '../../system-error.js';

export interface SpaceNeed {
  readonly sizeBytes: number;
  /** Files, folders and links to create. */
  readonly inodeCount: number;
}

/** Larger block sizes are ignored, because network file systems report their transfer size as block size. */
const maxAllocationBytes = 64 * 1024;

/**
 * @returns the block size of the file system at the path; a common value if the size is unknown, very small
 * or larger than the maximum
 */
export async function allocationBytesAt(path: string): Promise<number> {
  const bsize = await statfs(path).then(
    (stats) => stats.bsize,
    () => 0,
  );
  return bsize > maxAllocationBytes
    ? commonAllocationBytes
    : Math.max(commonAllocationBytes, bsize);
}

/** @throws P2mpError TARGET_UNWRITABLE if the disk is too full */
export async function checkFreeSpace(path: string, shown: string, need: SpaceNeed): Promise<void> {
  const { bavail, bsize, blocks, files, ffree } = await statfs(path).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', shown, error);
  });
  // Some file systems report 0 blocks because they do not know their size, or 0 inodes because they create
  // inodes on demand.
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
