/** Room on the disk, before anything is written. */
import { statfs } from 'node:fs/promises';
import { P2mpError } from '../../errors.js';
import { formatBytes } from '../../format.js';
import { fileError } from '../system-error.js';

/** @throws P2mpError TARGET_UNWRITABLE where the disk cannot hold it */
export async function checkFreeSpace(path: string, shown: string, needBytes: number) {
  const { bavail, bsize, blocks } = await statfs(path).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', shown, error);
  });
  // Some file systems do not know their size.
  if (blocks === 0) return;
  const freeBytes = bavail * bsize;
  if (needBytes <= freeBytes) return;
  const message = `needs ${formatBytes(needBytes)}, ${formatBytes(freeBytes)} free; make room`;
  throw new P2mpError('TARGET_UNWRITABLE', `${shown}: ${message}`);
}
