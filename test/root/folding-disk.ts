/** Case-insensitive disks, mounted from images with FUSE if the host has the tools. */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cleaner } from '../support/processes.js';

export const foldingDisks = {
  /** NTFS: supports links, modes and inodes. */
  ntfs: { tools: ['mkntfs', 'lowntfs-3g'], hasLinks: true },
  /** exFAT: supports neither links nor inodes. */
  exfat: { tools: ['mkfs.exfat', 'mount.exfat-fuse', 'losetup'], hasLinks: false },
} as const;

export type FoldingDisk = keyof typeof foldingDisks;

/** @returns the reason for skipping tests without such a disk, or false */
export function whyNoDisk(kind: FoldingDisk): string | false {
  try {
    accessSync('/dev/fuse');
  } catch {
    return 'needs /dev/fuse';
  }
  const missing = foldingDisks[kind].tools.filter(
    (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  );
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

/** @returns an empty folder on such a disk, removed after the test */
export function mountFoldingDisk(t: Cleaner, kind: FoldingDisk): string {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp folding disk '));
  const image = `${folder}.img`;
  writeFileSync(image, '');
  truncateSync(image, 32 * 1024 * 1024);
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  let loop: string | undefined;
  if (kind === 'ntfs') {
    run('mkntfs', '-F', '-Q', image);
    run('lowntfs-3g', '-o', 'ignore_case', image, folder);
  } else {
    run('mkfs.exfat', image);
    loop = run('losetup', '-f', '--show', image);
    run('mount.exfat-fuse', loop, folder);
  }
  t.teardown(() => {
    run('umount', '-l', folder);
    if (loop !== undefined) run('losetup', '-d', loop);
    rmSync(folder, { recursive: true, force: true });
    rmSync(image);
  });
  return folder;
}
