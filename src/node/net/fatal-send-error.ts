/** Errors of sockets that end a transfer. */
import type { ErrorCode } from '../../base/errors.js';
import { P2mpError } from '../../base/errors.js';

/** @returns the error with which the transfer must stop; undefined if retransmission can help */
export function fatalSendError(
  error: NodeJS.ErrnoException,
  mssBytes: number,
): P2mpError | undefined {
  const codes: Record<string, [ErrorCode, string]> = {
    EMSGSIZE: [
      'DATAGRAM_TOO_LARGE',
      `MSS ${mssBytes}: larger than this system can send in one datagram; use a smaller MSS`,
    ],
  };
  const found = codes[error.code ?? ''];
  return found === undefined ? undefined : new P2mpError(found[0], found[1], { cause: error });
}
