/** The invitations of a sender's command line: codes, or `@file` with one per line. */
import { readFile } from 'node:fs/promises';
import { P2mpError } from '../base/errors.js';
import { parseInvitation } from '../node/keys/invitation-code.js';
import { fileError } from '../node/system-error.js';

interface InvitationArguments {
  readonly invite: readonly string[] | undefined;
  readonly 'accept-new': boolean;
  readonly open: boolean;
}

/**
 * @returns the codes, all of them well-formed
 * @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE
 */
export async function parseInvitations(argv: InvitationArguments): Promise<string[]> {
  const { invite } = argv;
  if (invite === undefined) return [];
  for (const option of ['accept-new', 'open'] as const) {
    if (!argv[option]) continue;
    // These options trust unknown keys: another host that answers at the address would get everything.
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--invite and --${option} contradict each other; an invitation names the key to trust`,
    );
  }
  const codes: string[] = [];
  for (const text of invite.flatMap((each) => each.split(','))) {
    const item = text.trim();
    if (item.startsWith('@')) codes.push(...(await readCodes(item.slice(1))));
    else codes.push(checked(item));
  }
  return codes;
}

async function readCodes(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError('SOURCE_UNREADABLE', path, error);
  }
  const lines = text.split(/\r?\n/).map((line) => line.replace(/#.*/, '').trim());
  const codes = lines.flatMap((line, i) =>
    line === '' ? [] : [checked(line, `${path}:${i + 1}`)],
  );
  if (codes.length > 0) return codes;
  throw new P2mpError('INVALID_ARGUMENT', `--invite @${path}: no invitation in this file`);
}

/** @param place where the code was found, for error messages */
function checked(code: string, place?: string): string {
  try {
    parseInvitation(code);
    return code;
  } catch (error) {
    if (!(error instanceof P2mpError) || place === undefined) throw error;
    throw new P2mpError(error.code, `${place}: ${error.message}`);
  }
}
