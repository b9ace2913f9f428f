/**
 * Errors that a caller or a user can fix. Each has a stable `code` (listed in docs/COMMANDS.md) and a message
 * that names the subject and the remedy. Faults of a peer are not errors: faults.ts counts them.
 */
import { escapeControls, escapeControlsInLines } from './control-characters.js';

/** The stable code of a P2mpError. docs/COMMANDS.md lists every error code with its exit code. */
export type ErrorCode =
  /** An option or argument is invalid; the message names it. */
  | 'INVALID_ARGUMENT'
  /** An experiment plan is invalid; the message lists each problem with its line. */
  | 'INVALID_PLAN'
  /** Experiment results do not match their plan or other results of the same plan. */
  | 'RESULTS_DIFFER'
  /** A run of an experiment ended without a result. */
  | 'RUN_FAILED'
  /** A host name does not resolve. */
  | 'UNKNOWN_HOST'
  /** A file or folder to send is missing or cannot be read. */
  | 'SOURCE_UNREADABLE'
  /** A file changed while it was being sent. */
  | 'SOURCE_CHANGED'
  /** A file or folder cannot be created or written. */
  | 'TARGET_UNWRITABLE'
  /** The receiver could not store what it received. */
  | 'TARGET_FAILED'
  /** A port or address cannot be bound. */
  | 'PORT_UNAVAILABLE'
  /** Datagrams are larger than a path or this system allows. */
  | 'DATAGRAM_TOO_LARGE'
  /** A key file is missing, invalid, or open to other users. */
  | 'KEY_UNREADABLE'
  /** A key file would be overwritten. */
  | 'KEY_EXISTS'
  /** A list of keys is missing, invalid, or open to other users. */
  | 'TRUST_FILE_BAD';

/**
 * The error of a failed operation. The message is safe to print: control characters, for example in a file
 * name, are escaped.
 * @example
 * ```ts
 * import { createGeometry, P2mpError } from 'p2mp/core';
 *
 * try {
 *   createGeometry(1000, 0, 1);
 * } catch (error) {
 *   if (error instanceof P2mpError) console.log(error.code); // INVALID_ARGUMENT
 * }
 * ```
 */
export class P2mpError extends Error {
  override readonly name = 'P2mpError';

  /** @param options `cause`: the error that led to this one */
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    // The message of an invalid plan lists one problem per line, so its line breaks are kept.
    const hasLines = code === 'INVALID_PLAN';
    super(hasLines ? escapeControlsInLines(message) : escapeControls(message), options);
  }
}
