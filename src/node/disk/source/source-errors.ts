/** What can happen to a file between the look at its size and its last byte, in words. */
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';

/** What systems say of something else in the place of a file: a link, a folder, a pipe, a socket. */
const otherKindCodes = new Set(['ELOOP', 'EISDIR', 'ESPIPE', 'ENXIO']);

/** Of a file that was there at `open`. */
export function readError(path: string, error: unknown): P2mpError {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return changed(path, 'was removed');
  if (otherKindCodes.has(code)) return changed(path, 'was replaced');
  return fileError('SOURCE_UNREADABLE', path, error);
}

export function changedSize(path: string, fromBytes: number, toBytes: number): P2mpError {
  return changed(path, `went from ${fromBytes} to ${toBytes} bytes`);
}

/** Where its size has stayed, the file system does not give all that it says it has. */
export function endedEarly(
  path: string,
  foundBytes: number,
  sizeBytes: number,
  endBytes: number,
): P2mpError {
  if (sizeBytes !== foundBytes) return changedSize(path, foundBytes, sizeBytes);
  return new P2mpError(
    'SOURCE_UNREADABLE',
    `${path}: gives ${endBytes} of its ${sizeBytes} bytes; copy its content to another file and send that`,
  );
}

export function changed(path: string, how: string): P2mpError {
  return new P2mpError(
    'SOURCE_CHANGED',
    `${path}: ${how} while it was being sent; send it again once nothing writes to it`,
  );
}
