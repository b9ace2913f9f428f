/** Files whose size says nothing about their content, as most of /proc and /sys: no transfer can count on it. */
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Whether the size of a regular file is worth a read: most disks keep no block for such a file. */
export function isSizeDoubtful({ size, blocks }: Pick<Stats, 'size' | 'blocks'>): boolean {
  return size === 0 || blocks === 0;
}

/**
 * Reads one byte where the size says that there is none, or the last one where no block holds it.
 * @returns the file as it is now, and why its size cannot be relied on, where that is so
 */
export async function checkSize(
  handle: FileHandle,
): Promise<{ readonly stats: Stats; readonly fault?: string }> {
  const before = await handle.stat();
  if (!before.isFile() || !isSizeDoubtful(before)) return { stats: before };
  const lastByte = Math.max(0, before.size - 1);
  const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, lastByte);
  const stats = await handle.stat();
  // A program that is just writing to it changes both.
  if (stats.size !== before.size) return { stats };
  if (stats.size === 0 && bytesRead > 0)
    return { stats, fault: 'has content although its size is 0' };
  if (stats.size > 0 && bytesRead === 0) {
    return { stats, fault: `has less content than its size of ${stats.size} bytes` };
  }
  return { stats };
}
