/** A disk in memory that is as small as a test wants it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../support/processes.js';

/**
 * Mounts a tmpfs that is taken away with the test.
 * @param options of the mount: `size=64k,nr_inodes=20`
 * @returns the folder that it is mounted on
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
