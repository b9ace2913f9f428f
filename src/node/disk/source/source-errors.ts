/** Errors of a file that changed between `open` and its last byte. */
import { P2mpError } from '../../../base/errors.js';
import { fileError } from '../../system-error.js';

/** Errors that mean that something else has replaced the file: a link, folder, pipe or socket. */
const otherKindCodes = new Set(['ELOOP', 'EISDIR', 'ESPIPE', 'ENXIO']);

/** An error of reading a file that existed at `open`. */
export function readError(path: string, error: unknown): P2mpError {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `${path}: was removed while it was being sent; send what is left`;
    return new P2mpError('SOURCE_CHANGED', message, { cause: error });
  }
  if (otherKindCodes.has(code)) return changed(path, 'was replaced');
  return fileError('SOURCE_UNREADABLE', path, error);
}

export function changedSize(path: string, fromBytes: number, toBytes: number): P2mpError {
  return changed(path, `went from ${fromBytes} to ${toBytes} bytes`);
}

/** The file ended early. If its size is unchanged, the file system returns fewer bytes than it reports. */
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
