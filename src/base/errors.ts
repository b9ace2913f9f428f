/**
 * Errors of operations that a caller or a user can fix. Each has a stable `code` (listed in
 * docs/COMMANDS.md) and a message that names the subject and the remedy. A peer's fault is not an
 * error but a counted event: see faults.ts.
 */
import { escapeControls, escapeControlsInLines } from './control-characters.js';

/** The stable code of a P2mpError; docs/COMMANDS.md lists them with their exit codes. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_PLAN'
  | 'RESULTS_DIFFER'
  | 'RUN_FAILED'
  | 'UNKNOWN_HOST'
  | 'SOURCE_UNREADABLE'
  | 'SOURCE_CHANGED'
  | 'TARGET_UNWRITABLE'
  | 'TARGET_FAILED'
  | 'PORT_UNAVAILABLE'
  | 'DATAGRAM_TOO_LARGE'
  | 'KEY_UNREADABLE'
  | 'KEY_EXISTS'
  | 'TRUST_FILE_BAD';

/**
 * An operation failed. The message is safe to print: control characters, for example in a file
 * name, are escaped.
 */
export class P2mpError extends Error {
  override readonly name = 'P2mpError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    // A plan's problems are listed one per line.
    const hasLines = code === 'INVALID_PLAN';
    super(hasLines ? escapeControlsInLines(message) : escapeControls(message), options);
  }
}
