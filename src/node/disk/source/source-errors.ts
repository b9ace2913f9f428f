/** Errors for a file that changed after it was opened and before its last byte was read. */
import { P2mpError } from '../../../base/errors.js';
import type { WithdrawalReason } from '../../../wire/withdrawn.js';
import { fileError, systemCode } from '../../system-error.js';

/** Error codes that mean that a link, folder, pipe or socket has replaced the file. */
const otherKindCodes = new Set(['ELOOP', 'EISDIR', 'ESPIPE', 'ENXIO']);

/** Creates the error to report if reading fails for a file that existed at `open`. */
export function readError(path: string, error: unknown): P2mpError {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const message = `${path}: was removed while it was being sent; send again without it`;
    return new P2mpError('SOURCE_CHANGED', message, { cause: error });
  }
  if (otherKindCodes.has(code)) return changed(path, 'was replaced');
  return fileError('SOURCE_UNREADABLE', path, error);
}

/**
 * Why a file can no longer be read, if the rest of the object can be sent without it. Undefined if the error concerns
 * this process.
 */
export function withdrawalReasonOf(error: unknown): WithdrawalReason | undefined {
  if (error instanceof P2mpError)
    return error.code === 'SOURCE_CHANGED' ? 'shortened' : 'unreadable';
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'removed';
  if (otherKindCodes.has(code)) return 'replaced';
  if (code === 'EACCES' || code === 'EPERM') return 'permission-denied';
  return code === 'EIO' || code === 'ESTALE' ? 'io-error' : undefined;
}

export function changedSize(path: string, fromBytes: number, toBytes: number): P2mpError {
  return changed(path, `went from ${fromBytes} to ${toBytes} bytes`);
}

/**
 * Creates the error for a file that ended early. If the size is unchanged, the file system returned fewer
 * bytes than that size.
 */
export function endedEarly(
  path: string,
  foundBytes: number,
  sizeBytes: number,
  endBytes: number,
): P2mpError {
  if (sizeBytes !== foundBytes) return changedSize(path, foundBytes, sizeBytes);
  return new P2mpError(
    'SOURCE_UNREADABLE',
    `${path}: only ${endBytes} of its ${sizeBytes} bytes can be read; copy its content to another file and send that`,
  );
}

export function changed(path: string, how: string): P2mpError {
  return new P2mpError(
    'SOURCE_CHANGED',
    `${path}: ${how} while it was being sent; send it again once nothing writes to it`,
  );
}
