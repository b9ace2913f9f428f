/** Arguments that are no text: Node puts U+FFFD in the place of bytes that are not UTF-8, and what was meant is lost. */
import { readFileSync } from 'node:fs';
import { P2mpError } from '../base/errors.js';

/** @throws P2mpError INVALID_ARGUMENT where an argument is not UTF-8 */
export function checkAreText(args: readonly string[]): void {
  if (!args.some((arg) => arg.includes('\ufffd'))) return;
  const bad = findBad(args);
  if (bad === undefined) return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `argument ${bad}: is not UTF-8; rename the file (convmv does that), or send it as standard input with --stdin-name`,
  );
}

/** @returns the first argument that is no text, with its odd bytes as `\xe9` where the system shows them */
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
    // One that holds this very character is as good as any other.
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
