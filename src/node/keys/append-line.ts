/** Appends a line to a list of trusted keys. */
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { syncFolder } from '../disk/fsync.js';
import { fileError } from '../system-error.js';
import { makeFolder } from './key-files.js';

/**
 * Appends a line durably, and creates the file if it is missing. A single write keeps the lines of concurrent processes
 * apart.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function appendLine(path: string, line: string): Promise<void> {
  try {
    await append(path, `${line}\n`);
  } catch (error) {
    throw fileError('TARGET_UNWRITABLE', path, error);
  }
}

async function append(path: string, line: string): Promise<void> {
  await makeFolder(dirname(path));
  const handle = await open(path, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    // The last line might end without a newline.
    const isLineOpen = size > 0 && last.toString('latin1') !== '\n';
    const bytes = Buffer.from(isLineOpen ? `\n${line}` : line);
    const { bytesWritten } = await handle.write(bytes);
    if (bytesWritten < bytes.length) {
      const reason = `the disk is full and the last line is incomplete; make room and correct that line`;
      throw new P2mpError('TARGET_UNWRITABLE', `${path}: ${reason}`);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(path));
}
