/** Detects arguments that are not UTF-8. Node replaces invalid bytes with U+FFFD, so file names are lost. */
import { readFileSync } from 'node:fs';
import { P2mpError } from '../base/errors.js';

/** @throws P2mpError INVALID_ARGUMENT if an argument is not UTF-8 */
export function checkAreText(args: readonly string[]): void {
  if (!args.some((arg) => arg.includes('\ufffd'))) return;
  const bad = findBad(args);
  if (bad === undefined) return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `argument ${bad}: not UTF-8; if it names a file, rename it (for example with convmv), or send it as standard input with --stdin-name`,
  );
}

/**
 * @returns the first argument that is not UTF-8; undefined if there is none. If the system exposes the raw
 *   bytes, non-ASCII bytes are shown as escapes such as `\xe9`.
 */
function findBad(args: readonly string[]): string | undefined {
  let given: Buffer;
  try {
    given = readFileSync('/proc/self/cmdline');
  } catch {
    return args.find((arg) => arg.includes('\ufffd'));
  }
  for (let start = 0; start < given.length; ) {
    const zero = given.indexOf(0, start);
    const end = zero < 0 ? given.length : zero;
    const bytes = given.subarray(start, end);
    // An argument with a genuine U+FFFD is valid.
    if (!Buffer.from(bytes.toString('utf8')).equals(bytes)) return escapeBytes(bytes);
    start = end + 1;
  }
  return undefined;
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes.toString('latin1')]
    .map((char) =>
      char >= ' ' && char <= '~' ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
    )
    .join('');
}
