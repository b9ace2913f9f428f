/** A small disk in memory. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../support/processes.js';

/**
 * Mounts a tmpfs until the test ends.
 * @param options of the mount: `size=64k,nr_inodes=20`
 * @returns the mount point
 */
export function mountSmallDisk(t: Cleaner, options: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp small disk '));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]);
  t.teardown(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}
