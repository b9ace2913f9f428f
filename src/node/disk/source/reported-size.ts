/**
 * Detects files whose reported size is wrong, such as most files in /proc and /sys. Such files cannot be
 * transferred.
 */
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/**
 * Whether the size of a regular file needs a check. Most file systems report no blocks for a file whose
 * reported size is wrong.
 */
export function isSizeDoubtful({ size, blocks }: Pick<Stats, 'size' | 'blocks'>): boolean {
  return size === 0 || blocks === 0;
}

/**
 * Reads one byte if the size is 0, or the last byte if the file has no blocks.
 * @returns the current state; if the size is unreliable, also the reason
 */
export async function checkSize(
  handle: FileHandle,
): Promise<{ readonly stats: Stats; readonly fault?: string }> {
  const before = await handle.stat();
  if (!before.isFile() || !isSizeDoubtful(before)) return { stats: before };
  const lastByte = Math.max(0, before.size - 1);
  const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, lastByte);
  const stats = await handle.stat();
  // If the size changes, a program is writing to the file, and the read proves nothing.
  if (stats.size !== before.size) return { stats };
  if (stats.size === 0 && bytesRead > 0)
    return { stats, fault: 'has content although its size is 0' };
  if (stats.size > 0 && bytesRead === 0) {
    return { stats, fault: `has less content than its size of ${stats.size} bytes` };
  }
  return { stats };
}
