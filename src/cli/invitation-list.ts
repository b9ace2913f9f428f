/** The invitations given on the command line of a host that they let in: codes, or `@file` with one code per line. */
import { P2mpError } from '../base/errors.js';
import { parseInvitation } from '../node/keys/invitation-code.js';
import { readListFile } from './list-file.js';

interface InvitationArguments {
  readonly 'accept-new': boolean;
  readonly open: boolean;
}

/**
 * @param invite the values of the option
 * @param option its name
 * @returns the codes, all of them well-formed
 * @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE
 */
export async function parseInvitations(
  invite: readonly string[] | undefined,
  argv: InvitationArguments,
  option = 'invite',
): Promise<string[]> {
  if (invite === undefined) return [];
  for (const trusting of ['accept-new', 'open'] as const) {
    if (!argv[trusting]) continue;
    // These options trust unknown keys: another host that answers at the address would get everything.
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--${option} and --${trusting} contradict each other; an invitation names the key to trust`,
    );
  }
  const codes: string[] = [];
  for (const text of invite.flatMap((each) => each.split(','))) {
    const item = text.trim();
    if (item.startsWith('@')) codes.push(...(await readCodes(item.slice(1), option)));
    else codes.push(checked(item));
  }
  return codes;
}

async function readCodes(path: string, option: string): Promise<string[]> {
  const codes = await readListFile(path, checked);
  if (codes.length > 0) return codes;
  throw new P2mpError('INVALID_ARGUMENT', `--${option} @${path}: no invitation in this file`);
}

function checked(code: string): string {
  parseInvitation(code);
  return code;
}
